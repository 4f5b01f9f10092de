import { Holds } from "./holds.ts";
import { Observations } from "./observations.ts";
import { Programs } from "./programs.ts";
import { Projection } from "./projection.ts";
import { Records } from "./records.ts";
import { RegistryPool } from "./registry-session.ts";
import type { RegistrySession } from "./registry-session.ts";
import { Routes } from "./routes.ts";
import { Tenants } from "./tenants.ts";
import { TrafficStates } from "./traffic-states.ts";
import { WaveSteps } from "./wave-steps.ts";

/** The concepts of a registry on one session. */
export interface RegistryTables {
  readonly tenants: Tenants;
  readonly routes: Routes;
  readonly holds: Holds;
  readonly projection: Projection;
  readonly records: Records;
  readonly waveSteps: WaveSteps;
  readonly programs: Programs;
  readonly traffic: TrafficStates;
  readonly observations: Observations;
}

function tablesOf(session: RegistrySession): RegistryTables {
  return {
    tenants: new Tenants(session),
    routes: new Routes(session),
    holds: new Holds(session),
    projection: new Projection(session),
    records: new Records(session),
    waveSteps: new WaveSteps(session),
    programs: new Programs(session),
    traffic: new TrafficStates(session),
    observations: new Observations(session),
  };
}

/** One region's registry: tenants, routes, holds, records and the projection of all ledgers. */
export class Registry implements RegistryTables {
  readonly tenants: Tenants;
  readonly routes: Routes;
  readonly holds: Holds;
  readonly projection: Projection;
  readonly records: Records;
  readonly waveSteps: WaveSteps;
  readonly programs: Programs;
  readonly traffic: TrafficStates;
  readonly observations: Observations;
  readonly #pool: RegistryPool;

  /**
   * Connects at the first query.
   * @param url login with the registry's database as path, see `registryUrl`; it becomes rc_migrator, or rc_reader
   *   when `isReadOnly`
   */
  constructor(url: string, options: { readonly isReadOnly?: boolean } = {}) {
    this.#pool = new RegistryPool(url, options);
    const tables = tablesOf(this.#pool);
    this.tenants = tables.tenants;
    this.routes = tables.routes;
    this.holds = tables.holds;
    this.projection = tables.projection;
    this.records = tables.records;
    this.waveSteps = tables.waveSteps;
    this.programs = tables.programs;
    this.traffic = tables.traffic;
    this.observations = tables.observations;
  }

  /** Everything or nothing of what `work` writes. */
  transaction<T>(work: (tables: RegistryTables) => Promise<T>): Promise<T> {
    return this.#pool.transaction((session) => work(tablesOf(session)));
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}
