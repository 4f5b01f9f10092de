import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import pg from "pg";
import { databaseSuffix } from "../../tests/workload/tenant-id.ts";
import { copyRows } from "./copy-rows.ts";
import { loadCorpus } from "./corpus.ts";
import { digestOf } from "./row-digest.ts";
import { SEED_COLUMNS, tenantRows } from "./tenant-rows.ts";

export interface SeedArgs {
  /** Operator's URL of the server that holds the tenants' databases. */
  readonly postgresUrl: string;
  /** Onboarded tenants of R1; their order decides which text each gets. */
  readonly tenants: readonly string[];
  /** Prompts and messages together, over all tenants. @default 40000 */
  readonly rows?: number;
  /** Role that writes: the owner of the tables. @default rc_migrator */
  readonly role?: string;
  /** Database of a tenant. @default `tenant_<id with - as _>` */
  readonly databaseOf?: (tenant: string) => string;
  /** Folders with more text than the repository's packages. @default site-packages of RC_PYTHON, when set */
  readonly textFolders?: readonly string[];
  readonly onProgress?: (text: string) => void;
}

/** What a tenant was seeded with; also the comment on its database, which is how a second run knows. */
export interface SeededTenant {
  readonly tenant: string;
  readonly prompts: number;
  readonly messages: number;
  readonly chunks: number;
  readonly bytes: number;
  /** {@link digestOf} all prompts and messages. */
  readonly sha256: string;
}

/**
 * Fills tenants of R1 with real text by COPY, one transaction per tenant: after a crash a tenant has everything or
 * nothing. A tenant that was seeded is skipped, whatever has happened to its rows since.
 * @throws Error naming the tenant whose R1 tables are not there
 */
export async function seedTenants(args: SeedArgs): Promise<SeededTenant[]> {
  const rows = args.rows ?? 40_000;
  const corpus = await loadCorpus(args.textFolders ?? (await pythonText()));
  const pieces = corpus.pieces(rows, 1);
  const seeded: SeededTenant[] = [];
  for (const [index, tenant] of args.tenants.entries()) {
    const share = Math.floor(rows / args.tenants.length) + (index < rows % args.tenants.length ? 1 : 0);
    // Drawn even for a tenant that is skipped, so that the others get the same text in every run.
    const own = Array.from({ length: share }, () => pieces.next().value as string);
    const result = await seedTenant(args, tenant, own);
    args.onProgress?.(`${tenant}: ${result.prompts} prompts, ${result.messages} messages`);
    seeded.push(result);
  }
  return seeded;
}

async function seedTenant(args: SeedArgs, tenant: string, pieces: readonly string[]): Promise<SeededTenant> {
  const url = new URL(args.postgresUrl);
  const database = args.databaseOf?.(tenant) ?? `tenant_${databaseSuffix(tenant)}`;
  url.pathname = `/${database}`;
  const role = args.role ?? "rc_migrator";
  const client = new pg.Client({ connectionString: url.href, options: role === "" ? undefined : `-c role=${role}` });
  await client.connect();
  try {
    await client.query("BEGIN");
    // Two runs at once: the second waits here and then finds the mark.
    await client.query("SELECT pg_advisory_xact_lock(hashtext('rc.seed'))");
    const before = await findSeeded(client);
    if (before !== undefined) return before;
    const { tables, digests } = tenantRows(tenant, pieces);
    for (const [table, columns] of Object.entries(SEED_COLUMNS)) {
      await copyRows(client, `public.${table}`, columns, tables[table as keyof typeof tables]);
    }
    const seeded: SeededTenant = {
      tenant,
      prompts: tables.prompts.length,
      messages: tables.messages.length,
      chunks: tables.chunks.length,
      bytes: pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0),
      sha256: digestOf(digests),
    };
    // A comment belongs to the same transaction as the rows and needs no table of ours among the platform's.
    const mark = client.escapeLiteral(JSON.stringify({ seeded }));
    await client.query(`COMMENT ON DATABASE ${client.escapeIdentifier(database)} IS ${mark}`);
    await client.query("COMMIT");
    await client.query("ANALYZE").catch(() => undefined);
    return seeded;
  } catch (error) {
    if ((error as { code?: string }).code === "42P01") {
      throw new Error(
        `tenant ${tenant}: the tables of R1 are not in ${database}; onboard it first, and seed before promoting`,
      );
    }
    throw error;
  } finally {
    await client.end();
  }
}

async function findSeeded(client: pg.Client): Promise<SeededTenant | undefined> {
  const { rows } = await client.query(
    "SELECT shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname = current_database()",
  );
  try {
    return (JSON.parse(rows[0].comment ?? "{}") as { seeded?: SeededTenant }).seeded;
  } catch {
    return undefined;
  }
}

async function pythonText(): Promise<string[]> {
  const python = process.env["RC_PYTHON"];
  if (python === undefined) return [];
  const library = join(dirname(dirname(python)), "lib");
  const versions = await readdir(library).catch(() => []);
  return versions.filter((name) => name.startsWith("python3")).map((name) => join(library, name, "site-packages"));
}
