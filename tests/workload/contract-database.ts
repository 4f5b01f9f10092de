import { randomBytes } from "node:crypto";
import pg from "pg";
import { getPostgresUrl } from "../servers.ts";
import { databaseSuffix } from "./tenant-id.ts";

/** Which release's side of the body tables exists, and who may use it. */
export interface ServedBy {
  readonly release: string;
  readonly pin: string;
}

const CLEAR = `
  CREATE TABLE prompt_bodies (prompt_id uuid PRIMARY KEY REFERENCES prompts ON DELETE CASCADE, body text NOT NULL);
  CREATE TABLE message_bodies (message_id uuid PRIMARY KEY REFERENCES messages ON DELETE CASCADE, body text NOT NULL);`;

const SEALED = `
  CREATE TABLE prompt_bodies_sealed (prompt_id uuid PRIMARY KEY REFERENCES prompts ON DELETE CASCADE, body bytea NOT NULL);
  CREATE TABLE message_bodies_sealed (message_id uuid PRIMARY KEY REFERENCES messages ON DELETE CASCADE, body bytea NOT NULL);
  ALTER TABLE prompt_bodies_sealed ALTER body SET STORAGE EXTERNAL;
  ALTER TABLE message_bodies_sealed ALTER body SET STORAGE EXTERNAL;`;

/** The tables of the contract as plain SQL: what services see, without the engine that moves it. */
const TENANT = `
  CREATE EXTENSION vector;
  CREATE TABLE conversations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE prompts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), conversation_id uuid REFERENCES conversations ON DELETE SET NULL,
    title text NOT NULL, idempotency_key text UNIQUE, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE messages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('user','assistant','system')), idempotency_key text UNIQUE, created_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE chunks (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), prompt_id uuid NOT NULL REFERENCES prompts ON DELETE CASCADE,
    ordinal int NOT NULL, text text NOT NULL, UNIQUE (prompt_id, ordinal));
  CREATE TABLE chunk_embeddings (chunk_id uuid PRIMARY KEY REFERENCES chunks ON DELETE CASCADE, embedding vector(64) NOT NULL);
  CREATE INDEX ON chunk_embeddings USING hnsw (embedding vector_cosine_ops);
  ${CLEAR}
  ${SEALED}
  CREATE SCHEMA rc;
  CREATE TABLE rc.mirror (mirror text PRIMARY KEY, position text NOT NULL);
  CREATE TABLE rc.keyset (tenant text, class text, version int, encrypted bytea NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    binding bytea, PRIMARY KEY (tenant, class, version));
  CREATE TABLE rc.keyset_head (tenant text, class text, version int NOT NULL, binding bytea NOT NULL, PRIMARY KEY (tenant, class));
  CREATE TABLE rc.whereabouts (tenant text PRIMARY KEY, release text NOT NULL, pin text NOT NULL, since timestamptz NOT NULL DEFAULT now());
  GRANT USAGE ON SCHEMA rc TO PUBLIC;
  GRANT SELECT ON rc.whereabouts TO PUBLIC;`;

const REGISTRY = `
  CREATE SCHEMA registry;
  CREATE TABLE registry.tenant (id text PRIMARY KEY, region text NOT NULL DEFAULT 'local', tags text[] NOT NULL DEFAULT '{}', database text NOT NULL,
    is_probe boolean NOT NULL DEFAULT false, born_release text NOT NULL, status text NOT NULL DEFAULT 'active', created_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE registry.route (tenant text PRIMARY KEY, release text NOT NULL, pin text NOT NULL, since timestamptz NOT NULL DEFAULT now());
  CREATE FUNCTION registry.notify_route() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('rc_route', coalesce(NEW.tenant, OLD.tenant)); RETURN NULL; END $$;
  CREATE TRIGGER route_notify AFTER INSERT OR UPDATE OR DELETE ON registry.route FOR EACH ROW EXECUTE FUNCTION registry.notify_route();
  GRANT USAGE ON SCHEMA registry TO PUBLIC;
  GRANT SELECT ON ALL TABLES IN SCHEMA registry TO PUBLIC;`;

/**
 * Databases of a few tenants and a registry on a shared server, with one login per release, all of this run alone.
 * Tests move a tenant between releases by plain SQL here; the engine is not involved.
 */
export class ContractDatabases {
  readonly #run = `wl_${randomBytes(4).toString("hex")}`;
  readonly #password = randomBytes(12).toString("hex");
  readonly #databases: string[] = [];
  readonly #roles: string[] = [];

  /** URL template of a release's login. */
  databaseUrl(release: string): string {
    return this.#url(`${this.#run}_{tenant}`, `${this.#run}_${release}`).replace("%7Btenant%7D", "{tenant}");
  }

  /** URL of the registry as a release's login, or as the superuser. */
  registryUrl(release?: string): string {
    return this.#url(`${this.#run}_registry`, release && `${this.#run}_${release}`);
  }

  /** URL of a tenant's database as the superuser. */
  adminUrl(tenant: string): string {
    return this.#url(`${this.#run}_${databaseSuffix(tenant)}`);
  }

  async createRoles(releases: readonly string[]): Promise<void> {
    for (const release of releases) {
      const role = `${this.#run}_${release}`;
      await this.#admin(`CREATE ROLE ${role} LOGIN PASSWORD '${this.#password}'`);
      this.#roles.push(role);
    }
  }

  async createRegistry(): Promise<void> {
    await this.#create(`${this.#run}_registry`);
    await this.sql(this.registryUrl(), REGISTRY);
  }

  /** Creates a tenant that `servedBy` serves: database, whereabouts and, when there is a registry, its route. */
  async createTenant(tenant: string, servedBy: ServedBy): Promise<void> {
    await this.#create(`${this.#run}_${databaseSuffix(tenant)}`);
    await this.sql(this.adminUrl(tenant), TENANT);
    if (this.#databases.includes(`${this.#run}_registry`)) {
      await this.sql(
        this.registryUrl(),
        `INSERT INTO registry.tenant (id, database, born_release) VALUES ('${tenant}', '${this.#run}_${databaseSuffix(tenant)}', '${servedBy.release}')`,
      );
    }
    await this.serve(tenant, servedBy);
  }

  /** Moves privileges and whereabouts in one transaction, then the route: the order of a cutover. */
  async serve(tenant: string, { release, pin }: ServedBy, side: "clear" | "sealed" = "clear"): Promise<void> {
    const owner = `${this.#run}_${release}`;
    const unused = side === "clear" ? "_sealed" : "";
    const grant =
      `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${owner};` +
      `REVOKE ALL ON prompt_bodies${unused}, message_bodies${unused} FROM ${owner};` +
      (side === "sealed" ? `GRANT SELECT ON rc.keyset, rc.keyset_head TO ${owner};` : "");
    const revoke = this.#roles.map(
      (role) =>
        `REVOKE ALL ON ALL TABLES IN SCHEMA public FROM ${role}; REVOKE ALL ON rc.keyset, rc.keyset_head FROM ${role};`,
    );
    await this.sql(
      this.adminUrl(tenant),
      `BEGIN; LOCK TABLE prompt_bodies, message_bodies, prompt_bodies_sealed, message_bodies_sealed IN SHARE ROW EXCLUSIVE MODE;
       ${revoke.join("")} ${grant} DELETE FROM rc.whereabouts; DELETE FROM rc.mirror;
       INSERT INTO rc.mirror VALUES ('prompt-encryption', '${side === "clear" ? "mirroring" : "switched"}');
       INSERT INTO rc.whereabouts (tenant, release, pin) VALUES ('${tenant}', '${release}', '${pin}'); COMMIT`,
    );
    if (this.#databases.includes(`${this.#run}_registry`)) {
      await this.sql(
        this.registryUrl(),
        `INSERT INTO registry.route (tenant, release, pin) VALUES ('${tenant}', '${release}', '${pin}')
         ON CONFLICT (tenant) DO UPDATE SET release = excluded.release, pin = excluded.pin, since = now()`,
      );
    }
  }

  /** Runs one statement, or several without parameters, as the superuser. */
  async sql<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    url: string,
    statement: string,
    values?: readonly unknown[],
  ): Promise<Row[]> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query<Row>(statement, values as unknown[] | undefined)).rows;
    } finally {
      await client.end();
    }
  }

  /** Drops everything this run created. */
  async drop(): Promise<void> {
    for (const database of this.#databases.splice(0)) await this.#admin(`DROP DATABASE ${database} WITH (FORCE)`);
    for (const role of this.#roles.splice(0)) await this.#admin(`DROP ROLE ${role}`);
  }

  async #create(database: string): Promise<void> {
    await this.#admin(`CREATE DATABASE ${database} TEMPLATE template0`);
    this.#databases.push(database);
  }

  async #admin(statement: string): Promise<void> {
    await this.sql(getPostgresUrl(), statement);
  }

  #url(database: string, role?: string): string {
    const url = new URL(getPostgresUrl());
    url.pathname = `/${database}`;
    if (role !== undefined) {
      url.username = role;
      url.password = this.#password;
    }
    return url.href;
  }
}
