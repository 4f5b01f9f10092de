import type pg from "pg";
import { connect } from "../../migrations/postgres/connect.ts";
import { copyIn } from "../../migrations/postgres/copy.ts";
import { stateOf } from "../../migrations/postgres/errors.ts";
import { inTransaction } from "../../migrations/postgres/transaction.ts";
import type { CorpusPiece } from "./corpus.ts";
import { installedFolders } from "./installed-text.ts";
import type { TextFolders } from "./installed-text.ts";
import { findMarker, writeMarker } from "./marker.ts";
import type { SeedCounts } from "./marker.ts";
import { PieceRange } from "./piece-range.ts";
import { divideRows } from "./shares.ts";
import { seedTables, TenantRows } from "./tenant-rows.ts";

export interface SeedOptions {
  /** Login that may take on the role rc_migrator; the database in it is replaced. */
  readonly postgresUrl: string;
  /** Ids of onboarded tenants, e.g. `acme-labs` with the database `tenant_acme_labs`. Their order decides their sizes. */
  readonly tenants: readonly string[];
  /** Prompts and messages over all tenants, 0 to what the installed packages yield (more than 40,000). */
  readonly rows: number;
  /** Folders of installed packages to take text from. @default those of this checkout */
  readonly folders?: TextFolders;
  /** Ends the seeding; the tenant under way keeps nothing. */
  readonly signal?: AbortSignal;
}

/** Why a tenant was left as it was. */
export type SkipReason = "seeded before" | "past R1";

export interface SeedResult {
  /** Prompts and messages; as the following numbers over all tenants, whether seeded now or before. */
  readonly rows: number;
  readonly prompts: number;
  readonly messages: number;
  readonly chunks: number;
  /** Bytes of all bodies. */
  readonly bytes: number;
  readonly seconds: number;
  /** Digest of each tenant's seed as it was written, see `SeedCounts.digest`; none for a tenant without a seed. */
  readonly digests: Readonly<Record<string, string>>;
  readonly skipped: Readonly<Record<string, SkipReason>>;
}

/** SQLSTATE of a database that does not exist. */
const unknownDatabase = "3D000";

/** Rows of one COPY per table: memory stays at a few MB however large a tenant is. */
const batchRows = 1000;

/**
 * Fills tenants with real text in R1's tables: 60 % prompts, 40 % messages in conversations, every tenth prompt indexed.
 * One transaction per tenant, so a tenant holds its whole seed or nothing. Idempotent: a tenant that was seeded before is
 * left alone whatever became of the rows, as is one whose prompts are no longer in R1's tables.
 *
 * @throws {Error} more rows than the packages yield, a tenant that is not onboarded; tenants before it keep their seed
 */
export async function seedTenants(options: SeedOptions): Promise<SeedResult> {
  const { postgresUrl, tenants, rows, signal } = options;
  if (!Number.isSafeInteger(rows) || rows < 0) throw new Error(`rows is ${rows}; allowed is a whole number from 0 on`);
  const twice = tenants.find((tenant, index) => tenants.indexOf(tenant) !== index);
  if (twice !== undefined) throw new Error(`tenant ${twice} is named twice; allowed is once`);
  const startMs = performance.now();
  const pieces = new PieceRange(options.folders ?? (await installedFolders()), rows);
  const parts = divideRows(rows, tenants.length);
  const digests: Record<string, string> = {};
  const skipped: Record<string, SkipReason> = {};
  const total = { rows: 0, prompts: 0, messages: 0, chunks: 0, bytes: 0 };
  let from = 0;
  for (const [index, tenant] of tenants.entries()) {
    const part = parts[index] ?? 0;
    const outcome = await seedTenant(postgresUrl, tenant, pieces.take(from, part), part, signal);
    from += part;
    if (outcome.skipped !== undefined) skipped[tenant] = outcome.skipped;
    if (outcome.counts === undefined) continue;
    const { digest, ...counts } = outcome.counts;
    digests[tenant] = digest;
    for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += counts[key];
  }
  return { ...total, seconds: (performance.now() - startMs) / 1000, digests, skipped };
}

interface Outcome {
  readonly counts?: SeedCounts;
  readonly skipped?: SkipReason;
}

async function seedTenant(
  url: string,
  tenant: string,
  pieces: Iterable<CorpusPiece>,
  rows: number,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  const database = `tenant_${tenant.replaceAll("-", "_")}`;
  const client = await connectTenant(url, tenant, database);
  try {
    // One try: the pieces of a failed one are used up. Running the seed again begins where this one ended.
    return await inTransaction(client, () => fill(client, tenant, pieces, rows, signal), {
      tries: 1,
      lockTimeoutMs: 30_000,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`seed of tenant ${tenant} (database ${database}), of which nothing is kept: ${reason}`, {
      cause: error,
    });
  } finally {
    await client.end().catch(() => {});
  }
}

async function connectTenant(url: string, tenant: string, database: string): Promise<pg.Client> {
  try {
    return await connect({ url, database, role: "rc_migrator", applicationName: "rc-seed" });
  } catch (error) {
    if (stateOf(error) !== unknownDatabase) throw error;
    throw new Error(`tenant ${tenant} has no database ${database}; it must be onboarded first: pulumi up`, {
      cause: error,
    });
  }
}

async function fill(
  client: pg.Client,
  tenant: string,
  pieces: Iterable<CorpusPiece>,
  rows: number,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  // Two seedings at once: the second waits here and then finds the marker.
  await client.query("SELECT pg_advisory_xact_lock(hashtext('rc.seed'))");
  const counts = await findMarker(client, tenant);
  if (counts !== undefined) return { counts, skipped: "seeded before" };
  if (!(await lockSources(client))) return { skipped: "past R1" };
  const gathered = new TenantRows(tenant, rows, Date.now());
  let waiting = 0;
  for (const piece of pieces) {
    gathered.add(piece);
    waiting += 1;
    if (waiting < batchRows) continue;
    waiting = 0;
    signal?.throwIfAborted();
    await copyBatch(client, gathered);
  }
  await copyBatch(client, gathered);
  const written = gathered.counts();
  await writeMarker(client, tenant, written);
  // Previews estimate from the planner's statistics, and autovacuum may come minutes later.
  await client.query(`ANALYZE ${Object.keys(seedTables).map(qualified).join(", ")}`);
  signal?.throwIfAborted();
  return { counts: written };
}

/** Plain COPY fires row triggers, so a mirror that follows these tables captures every row. */
async function copyBatch(client: pg.Client, gathered: TenantRows): Promise<void> {
  for (const [table, encoder] of gathered.take())
    await copyIn(client, qualified(table), seedTables[table], encoder.finish());
}

const qualified = (table: string): string => `public.${table}`;

/**
 * Whether R1's tables are there and have authority. The lock, which writers take anyway, makes a cutover wait: authority
 * cannot move between this answer and the commit.
 */
async function lockSources(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ sources: boolean; ledger: boolean }>(
    `SELECT to_regclass('public.prompt_bodies') IS NOT NULL AND to_regclass('public.message_bodies') IS NOT NULL AS sources,
            to_regclass('rc.mirror') IS NOT NULL AS ledger`,
  );
  if (rows[0]?.sources !== true) return false;
  await client.query("LOCK TABLE public.prompt_bodies, public.message_bodies IN ROW EXCLUSIVE MODE");
  if (!rows[0].ledger) return true;
  const moved = await client.query("SELECT FROM rc.mirror WHERE position IN ('switched', 'retired')");
  return (moved.rowCount ?? 0) === 0;
}
