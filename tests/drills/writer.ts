import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { databaseUrl, roleUrl } from "../servers.ts";
import type { SeededRandom } from "../workload/seeded-random.ts";
import type { DrillTenant } from "./drill-tenant.ts";
import { bodyDigest, type BodyKind, type Operation, type OperationLog, type Outcome } from "./operation-log.ts";
import { perform } from "./operation-sql.ts";
import { mixed, type WorkloadMix } from "./workload-mix.ts";

type Role = "platform_r1" | "platform_r2";

/** A record that one writer alone changes, with the SHA-256 of its body. */
export interface OwnRecord {
  readonly kind: BodyKind;
  readonly id: string;
  readonly digest: string;
}

/**
 * A user of a tenant: short transactions through whichever release serves it, as the services do. It knows what was
 * acknowledged; now and then it rolls back, or loses its connection while COMMIT is under way.
 */
export class Writer {
  /** How often the fence answered. */
  fenced = 0;
  readonly #tenant: DrillTenant;
  readonly #log: OperationLog;
  readonly #random: SeededRandom;
  readonly #name: string;
  readonly #own: OwnRecord[];
  readonly #explains: (error: unknown) => boolean;
  readonly #mix: WorkloadMix;
  #role: Role = "platform_r1";
  #session: pg.Client | undefined;
  #written = 0;
  #isOver = false;
  #running: Promise<void> | undefined;

  /**
   * @param own records that this writer alone changes
   * @param explains whether the case has caused an error: the operation has failed, or nobody knows, and the writer goes
   *   on with a new session. @default none
   * @param mix what it is mostly doing. @default some of everything
   */
  constructor(
    name: string,
    tenant: DrillTenant,
    log: OperationLog,
    random: SeededRandom,
    own: readonly OwnRecord[],
    explains: (error: unknown) => boolean = () => false,
    mix: WorkloadMix = mixed,
  ) {
    this.#name = name;
    this.#tenant = tenant;
    this.#log = log;
    this.#random = random;
    this.#own = mix.isHot === true ? own.slice(0, 1) : [...own];
    this.#explains = explains;
    this.#mix = mix;
  }

  /** Writes until `stop`, `pauseMs` between two transactions. */
  start(pauseMs = 4): void {
    this.#running = (async () => {
      while (!this.#isOver) {
        await this.once();
        await sleep(pauseMs);
      }
    })();
    this.#running.catch(() => {}); // reported by `stop`
  }

  /** @throws {Error} an operation met an error that no fault of a drill explains */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
    await this.#session?.end().catch(() => {});
    this.#session = undefined;
  }

  /** One transaction, tried again where the fence sends it. */
  async once(): Promise<void> {
    const operation = this.#choose();
    const fate = this.#random.below(100);
    for (let nth = 0; nth < 2_000; nth += 1) {
      const outcome = await this.#attempt(operation, fate);
      if (outcome === "fenced") {
        this.fenced += 1;
        await sleep(2);
        continue;
      }
      this.#log.add(operation, outcome);
      this.#note(operation, outcome);
      return;
    }
    throw new Error(`writer ${this.#name}: neither release served the tenant in 2000 tries`);
  }

  async #attempt(operation: Operation, fate: number): Promise<Outcome | "fenced"> {
    const progress = { isCommitting: false };
    try {
      return await this.#transact(operation, fate, progress);
    } catch (error) {
      if (!this.#explains(error)) throw error;
      await this.#session?.end().catch(() => {});
      this.#session = undefined;
      await sleep(20);
      return progress.isCommitting ? "unknown" : "failed";
    }
  }

  async #transact(
    operation: Operation,
    fate: number,
    progress: { isCommitting: boolean },
  ): Promise<Outcome | "fenced"> {
    const session = await this.#connected();
    try {
      await session.query("BEGIN");
      await perform(session, this.#tenant, this.#role === "platform_r2", operation);
      if (this.#mix.holdMs !== undefined) await sleep(this.#random.below(this.#mix.holdMs));
    } catch (error) {
      if (await this.#isFenced(session, error)) return "fenced";
      throw error;
    }
    if (fate < 3) {
      await session.query("ROLLBACK");
      return "failed";
    }
    if (fate < 6) return this.#lose(session);
    progress.isCommitting = true;
    try {
      await session.query("COMMIT");
      return "ok";
    } catch (error) {
      if (await this.#isFenced(session, error)) return "fenced";
      throw error;
    }
  }

  /** The connection breaks after COMMIT was sent: nobody knows whether it counts. */
  async #lose(session: pg.Client): Promise<Outcome> {
    const committing = session.query("COMMIT").catch(() => undefined);
    const stream = (session as unknown as { connection: { stream: { destroy(): void } } }).connection.stream;
    setImmediate(() => stream.destroy());
    this.#session = undefined;
    await Promise.race([committing, sleep(50)]);
    return "unknown";
  }

  async #isFenced(session: pg.Client, error: unknown): Promise<boolean> {
    if (this.#explains(error)) return false;
    await session.query("ROLLBACK");
    // 42P01: a contract revision has dropped the table; PostgreSQL looks for it before it looks at privileges.
    if (!["42501", "42P01"].includes((error as { code?: string }).code ?? "")) return false;
    const found = await session.query<{ release: string }>("SELECT release FROM rc.whereabouts");
    const role: Role = found.rows[0]?.release === "r2" ? "platform_r2" : "platform_r1";
    if (role !== this.#role) {
      this.#role = role;
      await session.end();
      this.#session = undefined;
    }
    return true;
  }

  async #connected(): Promise<pg.Client> {
    if (this.#session !== undefined) return this.#session;
    const session = new pg.Client({
      connectionString: roleUrl(this.#role, databaseUrl(this.#tenant.database)),
      application_name: `drill writer ${this.#name}`,
    });
    session.on("error", () => {});
    await session.connect();
    this.#session = session;
    return session;
  }

  #choose(): Operation {
    const verb = this.#own.length === 0 ? "insert" : this.#random.weighted(this.#mix.weights);
    this.#written += 1;
    const body = `${this.#name} wrote ${this.#written} ${"word ".repeat(this.#random.below(60))}`;
    const digest = bodyDigest(body);
    if (verb === "insert") {
      return { verb, kind: this.#random.below(2) === 0 ? "message" : "prompt", id: this.#newId(), body, digest };
    }
    const own = this.#random.pick(this.#own);
    const { kind, id } = own;
    if (verb === "delete") return { verb, kind, id };
    return verb === "move"
      ? { verb, kind, id, to: this.#newId(), digest: own.digest }
      : { verb, kind, id, body, digest };
  }

  /** Records whose fate is unknown are left alone from then on. */
  #note({ verb, kind, id, to, digest = "" }: Operation, outcome: Outcome): void {
    if (outcome === "failed") return;
    const nth = this.#own.findIndex((record) => record.id === id);
    if (nth >= 0) this.#own.splice(nth, 1);
    if (outcome === "ok" && verb !== "delete") this.#own.push({ kind, id: to ?? id, digest });
  }

  #newId(): string {
    const hex = Array.from({ length: 4 }, () =>
      this.#random
        .below(2 ** 32)
        .toString(16)
        .padStart(8, "0"),
    ).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
  }
}
