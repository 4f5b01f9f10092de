import type pg from "pg";
import { connect, engineApplicationPrefix } from "../migrations/postgres/connect.ts";
import { resolveReference } from "../migrations/reference.ts";
import { Keyring } from "../migrations/vault/keyring.ts";
import type { KeepJob } from "./keep-tenant.ts";

/** What a session does; `operator` has the login's own role, the others the migration role. */
type Part = "control" | "writer" | "reader" | "operator";

/** The sessions on one tenant's database, opened when they are first asked for, and its keys. */
export class TenantSessions {
  readonly connection: { readonly url: string; readonly database: string; readonly role: string };
  readonly #job: KeepJob;
  readonly #opened = new Map<Part, Promise<pg.Client>>();
  #keyring: Keyring | undefined;
  #isBroken = false;

  constructor(job: KeepJob) {
    this.#job = job;
    this.connection = { url: resolveReference(job.region.postgresUrl), database: job.database, role: "rc_migrator" };
  }

  /** True once the server has ended one of the sessions. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  get(part: Part): Promise<pg.Client> {
    let session = this.#opened.get(part);
    if (session === undefined) {
      const applicationName = `${engineApplicationPrefix} ${this.#job.tenant} keeper ${part}`;
      const role = part === "operator" ? undefined : this.connection.role;
      session = connect({ ...this.connection, role, applicationName }).then((client) => {
        client.once("end", () => (this.#isBroken = true));
        return client;
      });
      this.#opened.set(part, session);
    }
    return session;
  }

  /** The tenant's keys; asks Vault at most every ten minutes for as long as the sessions live. */
  async keyring(): Promise<Keyring> {
    const { transit, tenant } = this.#job;
    this.#keyring ??= new Keyring({ client: await this.get("control"), transit, tenant });
    return this.#keyring;
  }

  async end(): Promise<void> {
    const ended = [...this.#opened.values()].map(async (session) => (await session).end());
    this.#opened.clear();
    await Promise.allSettled(ended);
  }
}

/**
 * Sessions of tenants that are written to all the time, kept from one turn to the next: opening four of them, with a
 * password check each, takes longer than draining what two seconds have brought. Nothing is locked between turns.
 */
export class KeeperSessions {
  readonly #kept = new Map<string, TenantSessions>();
  readonly #most: number;

  /** @param most tenants whose sessions are kept, four each. @default 24 */
  constructor(most = 24) {
    this.#most = most;
  }

  /** The tenant's sessions; nobody else gets them until they are given back. */
  take(job: KeepJob): TenantSessions {
    const kept = this.#kept.get(job.tenant);
    this.#kept.delete(job.tenant);
    if (kept !== undefined && !kept.isBroken) return kept;
    void kept?.end();
    return new TenantSessions(job);
  }

  /** Keeps them for the next turn; those that were used longest ago go. */
  async giveBack(tenant: string, sessions: TenantSessions): Promise<void> {
    this.#kept.set(tenant, sessions);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#most) break;
      await this.#drop(oldest);
    }
  }

  /** Ends the sessions of every other tenant: suspended, moved or gone. */
  async keepOnly(tenants: ReadonlySet<string>): Promise<void> {
    for (const tenant of [...this.#kept.keys()]) if (!tenants.has(tenant)) await this.#drop(tenant);
  }

  close(): Promise<void> {
    return this.keepOnly(new Set());
  }

  async #drop(tenant: string): Promise<void> {
    const kept = this.#kept.get(tenant);
    this.#kept.delete(tenant);
    await kept?.end();
  }
}
