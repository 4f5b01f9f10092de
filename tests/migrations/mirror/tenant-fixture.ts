import { randomUUID } from "node:crypto";
import pg from "pg";
import { grantRelease } from "../../../migrations/grants.ts";
import type { Position } from "../../../migrations/ledger/position.ts";
import { ensureLedger } from "../../../migrations/ledger/schema.ts";
import { setWhereabouts } from "../../../migrations/ledger/whereabouts.ts";
import type { MirrorDefinition } from "../../../migrations/mirror/definition.ts";
import type { TenantJob } from "../../../migrations/mirror/job.ts";
import { allMirrors } from "../../../migrations/mirrors.ts";
import { resolveReference } from "../../../migrations/reference.ts";
import { associatedData } from "../../../migrations/tink/associated-data.ts";
import { Keyring } from "../../../migrations/vault/keyring.ts";
import { Transit } from "../../../migrations/vault/transit.ts";
import type { ReleaseTarget } from "../../../migrations/wave-inputs.ts";
import { createDatabase, dropDatabase, getVault, roleUrl } from "../../servers.ts";

/** R1: everything on its source. */
export const r1: ReleaseTarget = {
  id: "r1",
  hash: "111111111111",
  pin: "r1@111111111111",
  number: 1,
  role: "platform_r1",
  schema: { expandTo: "0001", contractTo: "0001" },
  sinkMirrors: [],
};

/** R2: prompts sealed. */
export const r2: ReleaseTarget = {
  id: "r2",
  hash: "222222222222",
  pin: "r2@222222222222",
  number: 2,
  role: "platform_r2",
  schema: { expandTo: "0002", contractTo: "0003" },
  sinkMirrors: ["prompt-encryption"],
};

/** Environment of all tests of the engine; its transit mount is made once. */
export const environment = "mir";

/** A tenant's database as R1 leaves it, with R2's expand revision applied. */
export interface TestTenant {
  readonly tenant: string;
  readonly database: string;
  /** Superuser session. */
  readonly admin: pg.Client;
  /** A job with ten minutes. */
  job(release: ReleaseTarget, changes?: Partial<TenantJob>): TenantJob;
  /** A session of a release's role. */
  as(role: "platform_r1" | "platform_r2"): Promise<pg.Client>;
  keyring(): Keyring;
  close(): Promise<void>;
}

/** Makes the transit mount of the tests; one that exists is fine. */
export async function ensureTransitMount(): Promise<void> {
  const { address, token } = getVault();
  const answer = await fetch(`${address}/v1/sys/mounts/transit-${environment}`, {
    method: "POST",
    headers: { "X-Vault-Token": token },
    body: JSON.stringify({ type: "transit" }),
  });
  if (!answer.ok && !(await answer.text()).includes("already in use")) {
    throw new Error(`Vault did not make the transit mount: ${answer.status}`);
  }
}

const tables = `
CREATE TABLE conversations (id uuid PRIMARY KEY, title text, created_at timestamptz DEFAULT now());
CREATE TABLE prompts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL DEFAULT '',
  idempotency_key text UNIQUE);
CREATE TABLE messages (id uuid PRIMARY KEY, conversation_id uuid REFERENCES conversations ON DELETE CASCADE);
CREATE TABLE alembic_version (version_num text PRIMARY KEY);
`;

/** What Alembic's 0001 (source), and the downgrade of 0003, make; without foreign keys as the latter does. */
export const sourceTables = `
CREATE TABLE prompt_bodies (prompt_id uuid PRIMARY KEY, body text NOT NULL);
CREATE TABLE message_bodies (message_id uuid PRIMARY KEY, body text NOT NULL);
`;

const sourceReferences = `
ALTER TABLE prompt_bodies ADD CONSTRAINT prompt_bodies_prompt_id_fkey FOREIGN KEY (prompt_id) REFERENCES prompts ON DELETE CASCADE;
ALTER TABLE message_bodies ADD CONSTRAINT message_bodies_message_id_fkey FOREIGN KEY (message_id) REFERENCES messages ON DELETE CASCADE;
`;

const sinkTables = `
CREATE TABLE prompt_bodies_sealed (prompt_id uuid PRIMARY KEY, body bytea NOT NULL);
ALTER TABLE prompt_bodies_sealed ALTER body SET STORAGE EXTERNAL;
CREATE TABLE message_bodies_sealed (message_id uuid PRIMARY KEY, body bytea NOT NULL);
ALTER TABLE message_bodies_sealed ALTER body SET STORAGE EXTERNAL;
`;

/** @param schema SQL of the tables, as rc_migrator; by default the platform's */
export async function createTenant(
  schema: string = tables + sourceTables + sourceReferences + sinkTables,
  definitions?: readonly MirrorDefinition[],
): Promise<TestTenant> {
  const tenant = `m${randomUUID().slice(0, 8)}`;
  const database = `mir_${tenant}`;
  const url = await createDatabase(database);
  await ensureTransitMount();
  process.env["MIR_POSTGRES_URL"] = url;
  process.env["MIR_VAULT_ADDR"] = getVault().address;
  process.env["MIR_VAULT_TOKEN"] = getVault().token;
  const admin = new pg.Client({ connectionString: url });
  admin.on("error", () => {});
  await admin.connect();
  await admin.query("SET ROLE rc_migrator");
  await admin.query(schema);
  await ensureLedger(admin);
  await setWhereabouts(admin, { tenant, release: r1.id, pin: r1.pin });
  await grantRelease(admin, {
    release: r1,
    allReleaseRoles: [r1.role, r2.role],
    positions: {},
    mirrors: definitions ?? allMirrors(),
  });
  await admin.query("RESET ROLE");
  const sessions: pg.Client[] = [];
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  pool.on("error", () => {});
  return {
    tenant,
    database,
    admin,
    job: (release, changes) => ({
      environment,
      tenant,
      database,
      region: {
        name: "local",
        postgresUrl: "env:MIR_POSTGRES_URL",
        vaultAddress: "env:MIR_VAULT_ADDR",
        vaultToken: "env:MIR_VAULT_TOKEN",
      },
      release,
      back: release === r1 ? r2 : r1,
      releaseRoles: [r1.role, r2.role],
      deadlineMs: Date.now() + 600_000,
      ...(definitions === undefined ? {} : { definitions }),
      ...changes,
    }),
    async as(role) {
      const client = new pg.Client({ connectionString: roleUrl(role, url) });
      client.on("error", () => {});
      await client.connect();
      sessions.push(client);
      return client;
    },
    keyring: () =>
      new Keyring({
        client: pool,
        tenant,
        transit: new Transit({
          address: resolveReference("env:MIR_VAULT_ADDR"),
          token: resolveReference("env:MIR_VAULT_TOKEN"),
          mount: `transit-${environment}`,
        }),
      }),
    async close() {
      await Promise.all(sessions.map((client) => client.end().catch(() => {})));
      await pool.end();
      await admin.end();
      await dropDatabase(database);
    },
  };
}

/** Inserts prompts with bodies in clear, as R1 does. @returns their ids */
export async function seedPrompts(tenant: TestTenant, count: number, bodyBytes = 100): Promise<string[]> {
  const added = await tenant.admin.query<{ id: string }>(
    `WITH added AS (INSERT INTO public.prompts (id) SELECT gen_random_uuid() FROM generate_series(1, $1) RETURNING id)
     , bodies AS (INSERT INTO public.prompt_bodies SELECT id, left('body of ' || id || repeat('x', $2), $2 + 8) FROM added)
     SELECT id FROM added`,
    [count, bodyBytes],
  );
  return added.rows.map((row) => row.id);
}

/** All bodies of prompts in clear, by id, from the side that is authoritative. */
export async function readBodies(tenant: TestTenant, position: Position): Promise<Map<string, string>> {
  if (position === "off" || position === "mirroring") {
    const found = await tenant.admin.query<{ id: string; body: string }>(
      "SELECT prompt_id::text AS id, body FROM public.prompt_bodies ORDER BY 1",
    );
    return new Map(found.rows.map((row) => [row.id, row.body]));
  }
  return openBodies(tenant);
}

/** All bodies of prompts, opened from the sealed table with the tenant's keyset, by id. */
export async function openBodies(tenant: TestTenant): Promise<Map<string, string>> {
  const found = await tenant.admin.query<{ id: string; body: Buffer }>(
    "SELECT prompt_id::text AS id, body FROM public.prompt_bodies_sealed ORDER BY 1",
  );
  const { aead } = await tenant.keyring().ensure("prompt");
  return new Map(
    found.rows.map((row) => [
      row.id,
      aead.open(row.body, associatedData(environment, tenant.tenant, "prompt.body", row.id)).toString(),
    ]),
  );
}

/** Seals a body as R2 does. */
export async function sealBody(tenant: TestTenant, id: string, body: string): Promise<Buffer> {
  const { aead } = await tenant.keyring().ensure("prompt");
  return aead.seal(Buffer.from(body), associatedData(environment, tenant.tenant, "prompt.body", id));
}

/** What Alembic's contract revision 0003 does. */
export async function contract(tenant: TestTenant): Promise<void> {
  await tenant.admin.query("DROP TABLE IF EXISTS public.prompt_bodies, public.message_bodies");
}

/** What the downgrade of 0003 does; nothing when it was not applied. */
export async function undoContract(tenant: TestTenant): Promise<void> {
  const found = await tenant.admin.query("SELECT FROM pg_class WHERE oid = to_regclass('public.prompt_bodies')");
  if ((found.rowCount ?? 0) > 0) return;
  await tenant.admin.query(
    `SET ROLE rc_migrator; SET search_path = public; ${sourceTables}; RESET search_path; RESET ROLE`,
  );
}
