import type { RegistrySession } from "./registry-session.ts";

/** One move of an environment to another pin. Never changed, never removed. */
export interface PromotionRecord {
  readonly id: number;
  readonly environment: string;
  readonly kind: "promotion" | "rollback" | "finalize";
  /** undefined: the environment's first release. */
  readonly fromPin?: string;
  readonly toPin: string;
  readonly who: string;
  readonly at: Date;
  /** False: applied by a plain `pulumi up`, without the approvals that the environment asks for. */
  readonly reviewed: boolean;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Evidence that a (release hash, environment) pair works. */
export interface Verification {
  readonly environment: string;
  readonly release: string;
  readonly hash: string;
  readonly at: Date;
  readonly evidence: Readonly<Record<string, unknown>>;
}

/** A release hash that is forbidden for ever, in all environments of this registry. */
export interface Rescinded {
  readonly hash: string;
  readonly who: string;
  readonly why: string;
  readonly at: Date;
}

const promotionColumns = `id::float8 AS id, environment, kind, from_pin AS "fromPin", to_pin AS "toPin", who, at, reviewed, detail`;

/** What happened and what is forbidden: rows are added, never changed. */
export class Records {
  readonly #session: RegistrySession;

  constructor(session: RegistrySession) {
    this.#session = session;
  }

  /** @returns the record's id */
  async addPromotion(record: Omit<PromotionRecord, "id" | "at">): Promise<number> {
    const [row] = await this.#session.query<{ id: number }>(
      `INSERT INTO registry.promotion_record (environment, kind, from_pin, to_pin, who, reviewed, detail)
       VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id::float8 AS id`,
      [
        record.environment,
        record.kind,
        record.fromPin,
        record.toPin,
        record.who,
        record.reviewed,
        JSON.stringify(record.detail),
      ],
    );
    return row?.id ?? 0;
  }

  /** Newest first. @param limit @default 50 */
  async listPromotions(environment: string, limit = 50): Promise<PromotionRecord[]> {
    const rows = await this.#session.query<Omit<PromotionRecord, "fromPin"> & { fromPin: string | null }>(
      `SELECT ${promotionColumns} FROM registry.promotion_record WHERE environment = $1 ORDER BY id DESC LIMIT $2`,
      [environment, limit],
    );
    return rows.map(({ fromPin, ...row }) => ({ ...row, ...(fromPin === null ? {} : { fromPin }) }));
  }

  async addVerification(found: Omit<Verification, "at">): Promise<void> {
    await this.#session.query(
      "INSERT INTO registry.verification (environment, release, hash, evidence) VALUES ($1, $2, $3, $4)",
      [found.environment, found.release, found.hash, JSON.stringify(found.evidence)],
    );
  }

  /** The newest evidence for a hash. */
  async findVerification(environment: string, hash: string): Promise<Verification | undefined> {
    const rows = await this.#session.query<Verification>(
      `SELECT environment, release, hash, at, evidence FROM registry.verification
       WHERE environment = $1 AND hash = $2 ORDER BY at DESC LIMIT 1`,
      [environment, hash],
    );
    return rows[0];
  }

  /** All evidence of an environment, newest first. */
  listVerifications(environment: string): Promise<Verification[]> {
    return this.#session.query<Verification>(
      `SELECT environment, release, hash, at, evidence FROM registry.verification WHERE environment = $1 ORDER BY at DESC`,
      [environment],
    );
  }

  /** Forbids a hash for ever; the first reason stands. */
  async rescind(rescinded: Omit<Rescinded, "at">): Promise<void> {
    await this.#session.query(
      "INSERT INTO registry.rescinded (hash, who, why) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING",
      [rescinded.hash, rescinded.who, rescinded.why],
    );
  }

  /** Oldest first. */
  listRescinded(): Promise<Rescinded[]> {
    return this.#session.query<Rescinded>("SELECT hash, who, why, at FROM registry.rescinded ORDER BY at, hash");
  }

  async findRescinded(hash: string): Promise<Rescinded | undefined> {
    return (await this.listRescinded()).find((found) => found.hash === hash);
  }
}
