import type pg from "pg";
import type { CollectionSpec } from "../milvus/collection.ts";
import type { Fault } from "../mirror/preflight.ts";
import { quoteName } from "../postgres/identifier.ts";

/** A table of vectors as the catalog describes it. */
export interface VectorColumn {
  /** Quoted. */
  readonly quoted: string;
  readonly quoted_payload: string | null;
  /** Name of the key column. */
  readonly key: string;
  /** Type of the payload as the engine's sessions see it: with its schema, e.g. `public.vector`. */
  readonly type: string;
}

/**
 * Vectors that the collection would not take, or not find again: of another dimension; of length zero, which have no
 * direction to compare. NaN and infinity need no look: pgvector has refused them on the way in.
 */
export async function findVectorFaults(
  client: pg.Client,
  column: VectorColumn,
  { dimension, metric, name }: CollectionSpec,
): Promise<Fault[]> {
  const prefix = /^(.+\.)vector$/.exec(column.type)?.[1] ?? "";
  const payload = column.quoted_payload ?? "";
  const kinds: readonly { readonly condition: string; readonly reason: string; readonly mend: string }[] = [
    {
      condition: `${prefix}vector_dims(${payload}) <> ${dimension}`,
      reason: `have another dimension than the ${dimension} of collection ${name}`,
      mend: "embed their texts with the model of the others, or delete them",
    },
    ...(metric === "COSINE"
      ? [
          {
            condition: `${prefix}vector_norm(${payload}) = 0`,
            reason: "have length zero, and cosine has no direction to compare",
            mend: "embed their texts again, or delete them",
          },
        ]
      : []),
  ];
  const faults: Fault[] = [];
  for (const { condition, reason, mend } of kinds) {
    const found = await client.query<{ rows: string; first: string | null }>(
      `SELECT count(*) AS rows, min(${quoteName(column.key)}::text) AS first FROM ${column.quoted} WHERE ${condition}`,
    );
    const rows = Number(found.rows[0]?.rows ?? 0);
    if (rows > 0)
      faults.push([`${rows} vectors ${reason}, e.g. the one of ${column.key} ${found.rows[0]?.first}`, mend]);
  }
  return faults;
}
