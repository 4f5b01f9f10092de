import type pg from "pg";
import type { CollectionSpec } from "../milvus/collection.ts";
import type { TenantVectors } from "../milvus/vectors.ts";
import type { Lane } from "../mirror/pair-shape.ts";
import { inSnapshot } from "../postgres/transaction.ts";
import { floatsOf } from "./vector-bytes.ts";
import { keyColumn, tablesOf } from "./vector-rows.ts";

/** How well Milvus finds what an exact scan of pgvector finds. */
export interface Recall {
  /** Sampled vectors that were searched for. */
  readonly queries: number;
  /** Share of the 10 nearest of each that Milvus found, 0 to 1; a row as near as the tenth counts as one of them. */
  readonly recallAt10: number;
}

const queriesAtMost = 10;
/** An exact scan reads every row: on a large table fewer queries have to do, milliseconds. */
const budgetMs = 5_000;

const operators = { COSINE: "<=>", IP: "<#>", L2: "<->" } as const;

/** Searches for sampled vectors of the source on both sides. @param client outside any transaction */
export async function measureRecall(
  client: pg.Client,
  lane: Lane,
  vectors: TenantVectors,
  { metric, dimension }: CollectionSpec,
): Promise<Recall> {
  const { source } = tablesOf(lane);
  const key = keyColumn(lane);
  const startedAt = performance.now();
  let [queries, found, wanted] = [0, 0, 0];
  await inSnapshot(client, async () => {
    // By the index it would be one approximate search against another.
    await client.query("SET LOCAL enable_indexscan = off");
    const sampled = await client.query<{ key: string; binary: Buffer }>(
      `SELECT ${key}::text AS key, ${source.typePrefix}vector_send(${source.payload}) AS binary FROM ${source.quoted}
       ORDER BY md5(${key}::text) LIMIT ${queriesAtMost}`,
    );
    for (const row of sampled.rows) {
      const nearest = await client.query<{ key: string }>(
        `SELECT ${key}::text AS key FROM ${source.quoted}
         ORDER BY ${source.payload} OPERATOR(${source.typePrefix}${operators[metric]})
           (SELECT ${source.payload} FROM ${source.quoted} WHERE ${key} = $1)
         FETCH FIRST 10 ROWS WITH TIES`,
        [row.key],
      );
      const exact = new Set(nearest.rows.map((one) => one.key));
      const hits = await vectors.search(floatsOf(`row ${row.key}`, row.binary, dimension), 10);
      queries += 1;
      wanted += Math.min(10, exact.size);
      found += hits.filter((hit) => exact.has(hit)).length;
      if (performance.now() - startedAt > budgetMs) return;
    }
  });
  return { queries, recallAt10: wanted === 0 ? 1 : Math.round((found / wanted) * 1000) / 1000 };
}
