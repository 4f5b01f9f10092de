import type pg from "pg";
import { readRanges } from "../ledger/range.ts";
import type { TenantVectors } from "../milvus/vectors.ts";
import { within } from "../mirror/key-space.ts";
import type { Lane } from "../mirror/pair-shape.ts";
import { keyColumn, tablesOf } from "./vector-rows.ts";

/**
 * Holds the register to Milvus once more before authority moves: the number of rows, then every key with its version, range
 * by range. Vectors were compared bit by bit when their ranges were; only a store that lost, got back or changed rows behind
 * the engine since then differs here, e.g. a collection that was dropped or restored.
 *
 * @param client outside any transaction; nothing but the engine writes to either side while the source has the authority
 * @returns vectors
 * @throws {Error} with counts and the mend @throws {MilvusError}
 */
export async function confirmRegister(client: pg.Client, lane: Lane, vectors: TenantVectors): Promise<number> {
  const { register } = tablesOf(lane);
  const key = keyColumn(lane);
  const stored = await vectors.count();
  const seen = { registered: 0, missing: 0, otherVersion: 0, surplus: 0 };
  for (const range of await readRanges(client, lane.mirror, lane.id)) {
    const inMilvus = await vectors.readVersions({ lower: range.lower?.[0] ?? null, upper: range.upper?.[0] ?? null });
    const found = await client.query<{ key: string; version: string }>(
      `SELECT ${key}::text AS key, ${register.payload} AS version FROM ${register.quoted}
       WHERE ${within(key, lane.keys, range)}`,
    );
    for (const row of found.rows) {
      seen.registered += 1;
      const version = inMilvus.get(row.key);
      inMilvus.delete(row.key);
      if (version === undefined) seen.missing += 1;
      else if (version !== Number(row.version)) seen.otherVersion += 1;
    }
    seen.surplus += inMilvus.size;
  }
  if (stored === seen.registered && seen.missing + seen.otherVersion + seen.surplus === 0) return stored;
  throw new Error(
    `mirror ${lane.mirror}, ${lane.id}: ${seen.registered} vectors were compared, Milvus now counts ${stored}; ${seen.missing} are missing, ${seen.otherVersion} have another version, ${seen.surplus} are too many. Somebody else has changed the collection: nothing was moved; find who has privileges on it, then finalize the mirror away and prepare it again`,
  );
}
