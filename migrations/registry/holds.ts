import type { RegistrySession } from "./registry-session.ts";

/** Freezes an environment or a wave of it: written before a rollback or an abort acts. */
export interface Hold {
  readonly id: number;
  readonly environment: string;
  /** undefined: all waves. */
  readonly wave?: string;
  /** Release hashes that may not be applied; empty: none may. */
  readonly hashes: readonly string[];
  readonly who: string;
  readonly why: string;
  readonly since: Date;
  /** undefined while in force. */
  readonly releasedAt?: Date;
}

type HoldRow = Omit<Hold, "wave" | "releasedAt"> & { wave: string | null; releasedAt: Date | null };

const columns = `id::float8 AS id, environment, wave, hashes, who, why, since, released_at AS "releasedAt"`;

export class Holds {
  readonly #session: RegistrySession;

  constructor(session: RegistrySession) {
    this.#session = session;
  }

  /** Holds in force, oldest first. */
  async inForce(environment: string): Promise<Hold[]> {
    const rows = await this.#session.query<HoldRow>(
      `SELECT ${columns} FROM registry.hold WHERE environment = $1 AND released_at IS NULL ORDER BY id`,
      [environment],
    );
    return rows.map(parse);
  }

  /** Holds that forbid this hash in this wave, oldest first: empty means that it may go. */
  async against(environment: string, hash: string, wave?: string): Promise<Hold[]> {
    return (await this.inForce(environment)).filter(
      (hold) =>
        (hold.wave === undefined || wave === undefined || hold.wave === wave) &&
        (hold.hashes.length === 0 || hold.hashes.includes(hash)),
    );
  }

  /** Writes a hold, or finds the one in force on the same wave and hashes: a retried rollback leaves one hold, by the first who wrote it. */
  async place(hold: Pick<Hold, "environment" | "wave" | "hashes" | "who" | "why">): Promise<Hold> {
    const values = [hold.environment, hold.wave ?? null, [...new Set(hold.hashes)].sort(), hold.who, hold.why];
    const [row] = await this.#session.query<HoldRow>(
      `INSERT INTO registry.hold AS present (environment, wave, hashes, who, why) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (environment, coalesce(wave, ''), hashes) WHERE released_at IS NULL
       DO UPDATE SET since = present.since RETURNING ${columns}`,
      values,
    );
    if (row === undefined) throw new Error(`the hold on ${hold.environment} was not written; run the command again`);
    return parse(row);
  }

  /** Ends holds. @param wave ends only those of one wave. @default all of the environment @returns the ended ones */
  async release(environment: string, { ids, wave }: { ids?: readonly number[]; wave?: string } = {}): Promise<Hold[]> {
    const rows = await this.#session.query<HoldRow>(
      `UPDATE registry.hold SET released_at = now() WHERE environment = $1 AND released_at IS NULL
         AND ($2::bigint[] IS NULL OR id = ANY ($2)) AND ($3::text IS NULL OR wave = $3) RETURNING ${columns}`,
      [environment, ids, wave],
    );
    return rows.map(parse).sort((a, b) => a.id - b.id);
  }

  /** Puts ended holds in force again as they were, for who ended them too early; one that was placed anew meanwhile stays. */
  async restore(ids: readonly number[]): Promise<void> {
    await this.#session.query(
      `UPDATE registry.hold AS old SET released_at = NULL WHERE id = ANY ($1) AND NOT EXISTS
         (SELECT FROM registry.hold AS new WHERE new.released_at IS NULL AND new.environment = old.environment
            AND coalesce(new.wave, '') = coalesce(old.wave, '') AND new.hashes = old.hashes)`,
      [ids],
    );
  }
}

function parse({ wave, releasedAt, ...row }: HoldRow): Hold {
  return { ...row, ...(wave === null ? {} : { wave }), ...(releasedAt === null ? {} : { releasedAt }) };
}
