import type { Properties, Values } from "./property.ts";

/** What the host tells a resource type about the call it serves. */
export interface Call {
  readonly urn: string;
  /** Aborted when the engine cancels the update: long waits must end. */
  readonly signal: AbortSignal;
}

/**
 * One resource type: its properties, and the four things that can happen to it on the server behind `Connection`.
 * Values handed in are complete: defaults filled in, nothing unknown, secrets in clear.
 */
export interface ResourceType<Connection> {
  /** The official type token, e.g. `vault:index/mount:Mount`. */
  readonly token: string;
  readonly properties: Properties;
  /** Version of the official plugin's own state schema; kept in state so that it can read ours. @default 0 */
  readonly schemaVersion?: number;
  /** Faults that only show across properties, as [property, reason]. */
  refuse?(inputs: Values): readonly (readonly [property: string, reason: string])[];
  /** A replacement deletes the old resource first, because both cannot exist. @default false, unless a name is fixed by the program */
  readonly isDeletedBeforeReplaced?: boolean;
  /** Makes the resource; outputs named here are kept in state beside what `read` returns. */
  create(connection: Connection, inputs: Values, call: Call): Promise<{ id: string; outputs?: Values }>;
  /**
   * What the server has now, as far as it can be told apart from what state says; undefined when the resource is gone.
   * `state` holds what is known so far (only the id's own parts during an import).
   */
  read(connection: Connection, id: string, state: Values): Promise<Values | undefined>;
  /** Brings the server from `olds` to `news`. Absent: every change replaces. */
  update?(connection: Connection, id: string, olds: Values, news: Values, call: Call): Promise<void>;
  /** Removes the resource; one that is already gone is a success. */
  delete(connection: Connection, id: string, state: Values): Promise<void>;
}

/** A provider plugin: its configuration, how it reaches its server, and its resource types. */
export interface Plugin<Connection> {
  readonly name: string;
  readonly config: Properties;
  /** Called once with complete configuration; must not fail on a server that is down. */
  connect(config: Values): Connection;
  readonly resources: readonly ResourceType<Connection>[];
}
