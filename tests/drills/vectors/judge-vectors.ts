import { onMilvus, onPgvector, type Vectors } from "../../migrations/vector-store/vector-fixture.ts";
import { assertNoFaults } from "../oracle.ts";
import { vectorMirror, type VectorTenant } from "./vector-tenant.ts";

/** Options of a judgement. */
export interface VectorJudgement {
  /** Whether somebody else has changed the copy, so that a repair was right. @default false */
  readonly isRepairAllowed?: boolean;
}

/**
 * The end of a case: every acknowledged vector bit by bit where the authority is, nothing else there, a register and a ledger
 * that agree with it, no user of an earlier run left in Milvus - and once drained the same on the other side. Read with plain
 * SQL and Milvus's own SDK.
 *
 * @throws {Error} naming what was lost, added or left wrong
 */
export async function judgeVectors(
  tenant: VectorTenant,
  wanted: "mirroring" | "switched" | "off" | "retired",
  { isRepairAllowed = false }: VectorJudgement = {},
): Promise<void> {
  const position = await tenant.position();
  if (position !== wanted) throw new Error(`the tenant is ${position}, it should be ${wanted}`);
  assertNoFaults("ledger", await ledgerFaults(tenant, wanted, isRepairAllowed));
  const isOnMilvus = wanted === "switched" || wanted === "retired";
  const sides = [
    { name: "Milvus", read: () => readMilvus(tenant), isThere: wanted !== "off" },
    { name: "pgvector", read: () => readPgvector(tenant), isThere: wanted !== "retired" },
  ];
  if (isOnMilvus) assertNoFaults("register", await registerFaults(tenant));
  const authoritative = sides[isOnMilvus ? 0 : 1] as (typeof sides)[0];
  assertNoFaults(authoritative.name, findFaults(tenant.expected, await authoritative.read()));
  const other = sides[isOnMilvus ? 1 : 0] as (typeof sides)[0];
  if (!other.isThere) {
    if (!isOnMilvus) assertNoFaults("emptied Milvus", findFaults(new Map(), await readMilvus(tenant)));
    return;
  }
  await tenant.move("prepare", isOnMilvus ? onPgvector : onMilvus); // drains, changes nothing else
  assertNoFaults(`${other.name}, drained`, findFaults(tenant.expected, await other.read()));
}

/** Every vector that is lost, too many or not what was acknowledged. */
export function findFaults(expected: Vectors, seen: Vectors): string[] {
  const faults: string[] = [];
  for (const [id, floats] of expected) {
    const found = seen.get(id);
    if (found === undefined) faults.push(`the vector of ${id} is lost`);
    else if (!found.equals(floats)) faults.push(`the vector of ${id} is not the one acknowledged last`);
  }
  for (const id of seen.keys()) if (!expected.has(id)) faults.push(`${id} was deleted or never written`);
  return faults;
}

/** What pgvector holds, from its binary form. */
export async function readPgvector({ admin }: VectorTenant): Promise<Vectors> {
  const found = await admin.query<{ id: string; embedding: Buffer }>(
    "SELECT chunk_id::text AS id, public.vector_send(embedding) AS embedding FROM public.chunk_embeddings",
  );
  return new Map(found.rows.map(({ id, embedding }) => [id, Buffer.from(embedding.subarray(4)).swap32()]));
}

/** What Milvus holds of the tenant. */
export async function readMilvus({ stock }: VectorTenant): Promise<Vectors> {
  return new Map([...(await stock.read())].map(([key, { floats }]) => [key, floats]));
}

/** Rows of the register that are not ready, or that Milvus has in another version. */
async function registerFaults({ admin, stock }: VectorTenant): Promise<string[]> {
  const found = await admin.query<{ id: string; version: string; state: string }>(
    "SELECT chunk_id::text AS id, vector_version AS version, state FROM public.chunk_vectors",
  );
  const stored = await stock.read();
  return found.rows.flatMap(({ id, version, state }) => {
    const seen = stored.get(id)?.version;
    if (state === "ready" && seen === Number(version)) return [];
    return [`${id} is ${state} in version ${version}, Milvus has version ${seen ?? "none"}`];
  });
}

async function ledgerFaults(tenant: VectorTenant, position: string, isRepairAllowed: boolean): Promise<string[]> {
  const { admin, stock } = tenant;
  const column = async (sql: string): Promise<string[]> =>
    (await admin.query<Record<string, string>>(sql)).rows.map((row) => String(Object.values(row)[0]));
  const faults: string[] = [];
  const same = (what: string, seen: unknown, wanted: unknown): void => {
    if (JSON.stringify(seen) === JSON.stringify(wanted)) return;
    faults.push(`${what} is ${JSON.stringify(seen)}, with ${position} it has to be ${JSON.stringify(wanted)}`);
  };
  const isOnMilvus = position === "switched" || position === "retired";
  const isMirrored = position === "mirroring" || position === "switched";
  const capture = await column(
    `SELECT relname FROM pg_trigger JOIN pg_class AS c ON c.oid = tgrelid
     WHERE tgname = 'zz_rc_capture' AND tgenabled = 'A' ORDER BY 1`,
  );
  same("capture", capture, isMirrored ? [isOnMilvus ? "chunk_vectors" : "chunk_embeddings"] : []);
  same("rc.whereabouts", await column("SELECT release FROM rc.whereabouts"), [isOnMilvus ? "r2" : "r1"]);
  const tiles = await column(
    `SELECT format('joined %s, ends %s, all compared %s', bool_and(lower IS NOT DISTINCT FROM before),
       count(*) FILTER (WHERE upper IS NULL), bool_and(verified_epoch >= since_epoch))
     FROM (SELECT *, lag(upper) OVER (PARTITION BY pair ORDER BY ordinal) AS before FROM rc.range) AS r
     JOIN rc.mirror USING (mirror) WHERE mirror = '${vectorMirror}' GROUP BY pair`,
  );
  same("tiling", tiles, isMirrored ? ["joined t, ends 1, all compared t"] : []);
  if (!isRepairAllowed) same("repairs", await column("SELECT id FROM rc.journal WHERE event = 'repaired'"), []);
  const { usernames } = await stock.client.listUsers();
  const owners = usernames.flatMap((name) => /^(rc_[0-9a-f]{16})_\d+$/.exec(name)?.[1] ?? []);
  // The user of a run that was killed last stays until the next one that needs Milvus.
  same("owners with users of several runs", owners.length - new Set(owners).size, 0);
  return faults;
}
