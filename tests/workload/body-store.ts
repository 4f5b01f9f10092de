import type { ServiceSettings } from "./service-settings.ts";
import type { TenantDatabases } from "./tenant-databases.ts";

/** Which body: the logical kind is part of what a sealed body is bound to. */
export type BodyKind = "prompt" | "message";

/** Where bodies live and in which form: the only thing in which the services of two releases differ. */
export interface BodyStore {
  /** Leaf table of each kind; its key is `<kind>_id`, its payload `body`. */
  readonly tables: Readonly<Record<BodyKind, string>>;
  /** Type of the payload column. */
  readonly columnType: "text" | "bytea";
  /** Text to column value. May read the tenant's keyset, so it is fenced like any other read. */
  write(tenant: string, kind: BodyKind, id: string, text: string): Promise<string | Buffer>;
  /** Column value to text. @throws when the value does not belong to this tenant, kind and record */
  read(tenant: string, kind: BodyKind, id: string, stored: string | Buffer): Promise<string>;
  /** Resolves when what the store depends on can answer. @throws Error saying what cannot */
  ready(): Promise<void>;
}

export type OpenBodyStore = (settings: ServiceSettings, databases: TenantDatabases) => BodyStore;
