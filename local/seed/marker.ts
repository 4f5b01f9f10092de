import type pg from "pg";
import { seedId, uuidText } from "./seed-id.ts";

/** What a tenant's seed consisted of when it was written; traffic may have changed the rows since. */
export interface SeedCounts {
  /** Prompts and messages. */
  readonly rows: number;
  readonly prompts: number;
  readonly messages: number;
  /** Chunks, each with its embedding. */
  readonly chunks: number;
  /** Bytes of all bodies, UTF-8. */
  readonly bytes: number;
  /** `digestOf` all prompts and messages, hex. */
  readonly digest: string;
}

const pattern = /^seed (\d+) rows: (\d+) prompts, (\d+) messages, (\d+) chunks, (\d+) bytes, sha256 ([0-9a-f]{64})$/;

/**
 * Counts of the seed that a tenant holds, undefined if it holds none. The marker is a conversation without messages: a
 * table that no mirror moves, so it is found under every release.
 *
 * @throws {Error} when the rows of a seed are there and its marker is not
 */
export async function findMarker(client: pg.Client, tenant: string): Promise<SeedCounts | undefined> {
  const id = uuidText(seedId(tenant, "marker", 0));
  const found = await client.query<{ title: string | null }>("SELECT title FROM public.conversations WHERE id = $1", [
    id,
  ]);
  const row = found.rows[0];
  if (row === undefined) {
    const first = uuidText(seedId(tenant, "prompt", 0));
    const rest = await client.query("SELECT FROM public.prompts WHERE id = $1", [first]);
    if ((rest.rowCount ?? 0) === 0) return undefined;
    throw new Error(
      `tenant ${tenant} holds the seeded prompt ${first} but not the seed's conversation ${id}; somebody deleted it. ` +
        "Start from empty tenants: make clean && make up",
    );
  }
  const [, ...fields] = pattern.exec(row.title ?? "") ?? [];
  const [rows, prompts, messages, chunks, bytes] = fields.slice(0, 5).map(Number);
  const digest = fields[5];
  if (digest === undefined)
    throw new Error(
      `tenant ${tenant}: conversation ${id} has the title "${row.title ?? "NULL"}", allowed is "seed <rows> rows: ..."; ` +
        "somebody renamed it. Start from empty tenants: make clean && make up",
    );
  return {
    rows: rows ?? 0,
    prompts: prompts ?? 0,
    messages: messages ?? 0,
    chunks: chunks ?? 0,
    bytes: bytes ?? 0,
    digest,
  };
}

/** Notes what the transaction under way has seeded. */
export async function writeMarker(client: pg.Client, tenant: string, counts: SeedCounts): Promise<void> {
  const title =
    `seed ${counts.rows} rows: ${counts.prompts} prompts, ${counts.messages} messages, ${counts.chunks} chunks, ` +
    `${counts.bytes} bytes, sha256 ${counts.digest}`;
  // Dated before all seeded rows, so that lists that show the newest first do not begin with it.
  await client.query(
    "INSERT INTO public.conversations (id, title, created_at) VALUES ($1, $2, now() - interval '31 days')",
    [uuidText(seedId(tenant, "marker", 0)), title],
  );
}
