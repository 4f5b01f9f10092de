import type { RegistrySession } from "./registry-session.ts";

/** How far a wave has come on its way to a pin. */
export interface WaveStep {
  readonly environment: string;
  readonly wave: string;
  readonly pin: string;
  readonly step: "prepare" | "cutover" | "finalize";
  readonly status: "running" | "waiting" | "partial" | "done" | "failed";
  /** End of a soak: before it, a cutover changes nothing. */
  readonly waitingUntil?: Date;
  readonly asOf: Date;
}

type StepKey = Pick<WaveStep, "environment" | "wave" | "pin" | "step">;

const columns = `environment, wave, pin, step, status, waiting_until AS "waitingUntil", as_of AS "asOf"`;

/** The steps of all waves; a soak is a time here, so that no update sleeps. */
export class WaveSteps {
  readonly #session: RegistrySession;

  constructor(session: RegistrySession) {
    this.#session = session;
  }

  /** In the order of wave and time. @param pin @default all */
  async list(environment: string, pin?: string): Promise<WaveStep[]> {
    const rows = await this.#session.query<Omit<WaveStep, "waitingUntil"> & { waitingUntil: Date | null }>(
      `SELECT ${columns} FROM registry.wave_step WHERE environment = $1 AND ($2::text IS NULL OR pin = $2)
       ORDER BY wave, as_of, step`,
      [environment, pin],
    );
    return rows.map(({ waitingUntil, ...row }) => ({ ...row, ...(waitingUntil === null ? {} : { waitingUntil }) }));
  }

  /** Notes the status of a step; the end of its soak, once known, stays. */
  async record(step: Omit<WaveStep, "asOf" | "waitingUntil">): Promise<void> {
    await this.#session.query(
      `INSERT INTO registry.wave_step (environment, wave, pin, step, status) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (environment, wave, pin, step) DO UPDATE SET status = excluded.status, as_of = now()`,
      [step.environment, step.wave, step.pin, step.step, step.status],
      { isRepeatable: true },
    );
  }

  /** Starts a soak unless it has started: every update asks, the first one decides. @returns when it ends */
  async waitUntil(key: StepKey, until: Date): Promise<Date> {
    const [row] = await this.#session.query<{ until: Date }>(
      `INSERT INTO registry.wave_step AS known (environment, wave, pin, step, status, waiting_until)
       VALUES ($1, $2, $3, $4, 'waiting', $5)
       ON CONFLICT (environment, wave, pin, step) DO UPDATE SET status = 'waiting', as_of = now(),
         waiting_until = coalesce(known.waiting_until, excluded.waiting_until)
       RETURNING waiting_until AS until`,
      [key.environment, key.wave, key.pin, key.step, until],
    );
    return row?.until ?? until;
  }

  /** Forgets a pin's steps and soaks, e.g. after a rollback: a second promotion soaks again. */
  async forget(environment: string, pin: string): Promise<void> {
    await this.#session.query("DELETE FROM registry.wave_step WHERE environment = $1 AND pin = $2", [environment, pin]);
  }
}
