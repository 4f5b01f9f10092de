import pLimit from "p-limit";
import pRetry from "p-retry";
import pg from "pg";
import { tenantDatabase } from "../migrations/registry/tenant-id.ts";
import { seedTenant } from "./platform-world.ts";

const copiesAtOnce = 4;

/** Rows in the seed tenant, and so in every copy of it. */
export const promptsPerTenant = 20;

/** Prompts with bodies in clear for the seed tenant, as R1 writes them. */
export async function fillSeedTenant(postgresUrl: string): Promise<void> {
  await withClient(at(postgresUrl, tenantDatabase(seedTenant)), async (client) => {
    await client.query(
      `WITH added AS (INSERT INTO prompts (title) SELECT 'p' || n FROM generate_series(1, ${promptsPerTenant}) AS n RETURNING id)
       INSERT INTO prompt_bodies SELECT id, 'body of ' || id FROM added`,
    );
  });
}

/**
 * Copies the seed tenant, wherever it stands, until there are so many: databases of their own with ledgers that name
 * their tenant, and rows in the registry. Their keysets are the seed's, so nothing may be sealed or opened in them.
 */
export async function copySeedTenant(postgresUrl: string, tenants: number): Promise<void> {
  const limit = pLimit(copiesAtOnce);
  const ids = Array.from({ length: tenants - 1 }, (_, nth) => `bench-${nth + 1}`);
  await withClient(postgresUrl, async (operator) => {
    for (const id of ids) {
      const database = pg.escapeIdentifier(tenantDatabase(id));
      const template = pg.escapeIdentifier(tenantDatabase(seedTenant));
      // The keeper looks in now and then; a template must have no session for a moment.
      await pRetry(() => operator.query(`CREATE DATABASE ${database} TEMPLATE ${template} OWNER rc_migrator`), {
        retries: 20,
        minTimeout: 100,
        maxTimeout: 1000,
      });
    }
  });
  await limit.map(ids, (id) =>
    withClient(at(postgresUrl, tenantDatabase(id)), async (client) => {
      await client.query("UPDATE rc.whereabouts SET tenant = $1", [id]);
      await client.query("UPDATE rc.keyset SET tenant = $1", [id]);
    }),
  );
  await registerCopies(postgresUrl, ids);
}

/** Registry rows of copies that have no databases: for what reads the registry alone. */
export async function registerCopies(postgresUrl: string, ids: readonly string[]): Promise<void> {
  const seed = `'${seedTenant}'`;
  await withClient(at(postgresUrl, "rc_registry"), async (client) => {
    const statements = [
      `INSERT INTO registry.tenant (id, region, tags, database, is_probe, born_release, status)
       SELECT copy.id, region, tags, copy.database, is_probe, born_release, status
       FROM registry.tenant AS t, unnest($1::text[], $2::text[]) AS copy(id, database) WHERE t.id = ${seed}`,
      `INSERT INTO registry.route (tenant, release, pin) SELECT copy.id, release, pin
       FROM registry.route, unnest($1::text[], $2::text[]) AS copy(id, database) WHERE tenant = ${seed}`,
      `INSERT INTO registry.tenant_state (tenant, mirror, position, epoch, rows, bytes, dirty, rate_rows_per_s)
       SELECT copy.id, mirror, position, epoch, rows, bytes, dirty, rate_rows_per_s
       FROM registry.tenant_state, unnest($1::text[], $2::text[]) AS copy(id, database) WHERE tenant = ${seed}`,
    ];
    for (const statement of statements) await client.query(statement, [ids, ids.map(tenantDatabase)]);
  });
}

/** What earlier previews found is forgotten: the next one visits every tenant. */
export async function forgetVisits(postgresUrl: string): Promise<void> {
  await withClient(at(postgresUrl, "rc_registry"), (client) => client.query("TRUNCATE registry.observation"));
}

const at = (url: string, database: string): string => {
  const parsed = new URL(url);
  parsed.pathname = `/${database}`;
  return parsed.href;
};

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
