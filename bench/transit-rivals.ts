import type pg from "pg";
import { environment, type TestTenant } from "../tests/migrations/mirror/tenant-fixture.ts";
import { getVault } from "../tests/servers.ts";

/** Rows that one request to Vault seals in a batch. */
const batchRows = 500;

/** A table to update and the key that seals it: what one would write without an engine. */
export async function prepareTransitRivals(tenant: TestTenant): Promise<void> {
  await transit(`keys/rival-${tenant.tenant}`, { type: "aes256-gcm96" });
  await tenant.admin.query(`CREATE TABLE public.rival AS SELECT * FROM public.prompt_bodies`);
  await tenant.admin.query("ALTER TABLE public.rival ADD PRIMARY KEY (prompt_id)");
  await tenant.admin.query("VACUUM ANALYZE public.rival");
}

/** One request to Vault and one UPDATE a row. @returns rows per second */
export async function transitRows(tenant: TestTenant, rows: number): Promise<number> {
  const sample = await readRows(tenant.admin, lowest, rows);
  const startMs = performance.now();
  for (const { id, body } of sample) {
    const sealed = await encrypt(tenant, [body]);
    await tenant.admin.query("UPDATE public.rival SET body = $2 WHERE prompt_id = $1", [id, sealed[0]]);
  }
  return sample.length / ((performance.now() - startMs) / 1000);
}

/** Batches of 500: while one is written, the next is read and sealed on another connection. @returns rows per second */
export async function transitBatches(tenant: TestTenant, rows: number): Promise<number> {
  const reader = await tenant.as("platform_r1");
  const readNext = async (above: string): Promise<{ ids: string[]; sealed: string[] }> => {
    const batch = await readRows(reader, above, batchRows);
    return {
      ids: batch.map(({ id }) => id),
      sealed: await encrypt(
        tenant,
        batch.map(({ body }) => body),
      ),
    };
  };
  const startMs = performance.now();
  let done = 0;
  let next = readNext(lowest);
  for (;;) {
    const { ids, sealed } = await next;
    done += ids.length;
    const isLast = done >= rows || ids.length < batchRows;
    if (!isLast) next = readNext(ids.at(-1) as string);
    next.catch(() => undefined); // awaited in the next turn
    await tenant.admin.query(
      `UPDATE public.rival AS t SET body = u.body FROM unnest($1::uuid[], $2::text[]) AS u(id, body) WHERE t.prompt_id = u.id`,
      [ids, sealed],
    );
    if (isLast) return done / ((performance.now() - startMs) / 1000);
  }
}

interface Row {
  readonly id: string;
  readonly body: string;
}

async function readRows(client: pg.Client, above: string, limit: number): Promise<Row[]> {
  const found = await client.query<Row>(
    "SELECT prompt_id AS id, body FROM public.prompt_bodies WHERE prompt_id > $1 ORDER BY prompt_id LIMIT $2",
    [above, limit],
  );
  return found.rows;
}

const lowest = "00000000-0000-0000-0000-000000000000";

async function encrypt(tenant: TestTenant, bodies: readonly string[]): Promise<string[]> {
  const batch = bodies.map((body) => ({ plaintext: Buffer.from(body).toString("base64") }));
  const answer = (await transit(`encrypt/rival-${tenant.tenant}`, { batch_input: batch })) as {
    data: { batch_results: { ciphertext: string }[] };
  };
  return answer.data.batch_results.map(({ ciphertext }) => ciphertext);
}

async function transit(path: string, body: unknown): Promise<unknown> {
  const { address, token } = getVault();
  const answer = await fetch(`${address}/v1/transit-${environment}/${path}`, {
    method: "POST",
    headers: { "X-Vault-Token": token },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`Vault answered ${answer.status} to ${path.split("/")[0]}`);
  return answer.status === 204 ? undefined : answer.json();
}
