import type { TrafficSplit } from "../traffic/split.ts";
import type { RegistrySession } from "./registry-session.ts";

/** Where an environment's traffic stands. The first region's row is the truth; the gateway of each region follows its own. */
export interface TrafficState extends TrafficSplit {
  readonly environment: string;
  /** Pin of `newer`: another content of the same release begins anew. */
  readonly pin: string;
  /** The soak of this share has ended and its gates were `go`. */
  readonly isProven: boolean;
  /** End of the soak; undefined: there is none. */
  readonly waitingUntil?: Date;
  readonly asOf: Date;
}

type Row = Omit<TrafficState, "older" | "waitingUntil"> & { older: string | null; waitingUntil: Date | null };

/** One row an environment. A change notifies those who follow routes. */
export class TrafficStates {
  readonly #session: RegistrySession;

  constructor(session: RegistrySession) {
    this.#session = session;
  }

  /** undefined: nothing was ever split here. */
  async find(environment: string): Promise<TrafficState | undefined> {
    const [row] = await this.#session.query<Row>(
      `SELECT environment, newer, older, pin, percent, paths, is_proven AS "isProven", waiting_until AS "waitingUntil",
         as_of AS "asOf" FROM registry.traffic WHERE environment = $1`,
      [environment],
    );
    if (row === undefined) return undefined;
    const { older, waitingUntil, ...rest } = row;
    return { ...rest, ...(older === null ? {} : { older }), ...(waitingUntil === null ? {} : { waitingUntil }) };
  }

  async put(state: Omit<TrafficState, "asOf">): Promise<void> {
    await this.#session.query(
      `INSERT INTO registry.traffic (environment, newer, older, pin, percent, paths, is_proven, waiting_until)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
       ON CONFLICT (environment) DO UPDATE SET newer = excluded.newer, older = excluded.older, pin = excluded.pin,
         percent = excluded.percent, paths = excluded.paths, is_proven = excluded.is_proven,
         waiting_until = excluded.waiting_until, as_of = now()`,
      [
        state.environment,
        state.newer,
        state.older ?? null,
        state.pin,
        state.percent,
        JSON.stringify(state.paths),
        state.isProven,
        state.waitingUntil ?? null,
      ],
      { isRepeatable: true },
    );
  }
}
