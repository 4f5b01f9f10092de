import { Aead } from "../migrations/tink/aead.ts";
import { generateKeyset } from "../migrations/tink/keyset.ts";
import { copyIn, copyOut } from "../migrations/postgres/copy.ts";
import { CopyEncoder } from "../migrations/postgres/copy-format.ts";
import { associatedDataOf } from "../migrations/tink/associated-data.ts";
import type { TestTenant } from "../tests/migrations/mirror/tenant-fixture.ts";
import { timed } from "./ratio.ts";

/** What each part of the path does alone on this machine, rows per second: no path through all of them is faster. */
export interface RawRates {
  /** One thread that seals from memory to memory. */
  readonly rawSealRowsPerSecond: number;
  /** `COPY (SELECT .. ORDER BY key) TO STDOUT`, received and thrown away. */
  readonly rawReadRowsPerSecond: number;
  /** `COPY .. FROM STDIN` of rows that stand ready, in one transaction. */
  readonly rawWriteRowsPerSecond: number;
}

/** Measures a sample of at most 50,000 rows or 64 MB. */
export async function rawRates(tenant: TestTenant, rows: number, bodyBytes: number): Promise<RawRates> {
  const sample = Math.max(1, Math.min(rows, 50_000, Math.floor(64_000_000 / bodyBytes)));
  const aead = new Aead(generateKeyset());
  const plain = Buffer.alloc(bodyBytes, 1);
  const bind = associatedDataOf("bench", "tenant", "prompt.body");
  const id = "00000000-0000-4000-8000-000000000000";
  const seal = await timed(async () => {
    for (let row = 0; row < sample; row++) aead.seal(plain, bind(id));
  });
  const encoder = new CopyEncoder();
  const read = await timed(() =>
    copyOut(
      tenant.admin,
      `SELECT prompt_id, body FROM public.prompt_bodies ORDER BY prompt_id LIMIT ${sample}`,
      ([key, body]) => encoder.add([Buffer.from(key as Buffer), Buffer.from(body as Buffer)]),
    ),
  );
  await tenant.admin.query("CREATE TABLE public.raw (prompt_id uuid PRIMARY KEY, body bytea NOT NULL)");
  await tenant.admin.query("ALTER TABLE public.raw ALTER body SET STORAGE EXTERNAL");
  const messages = encoder.finish();
  const write = await timed(() => copyIn(tenant.admin, "public.raw", "prompt_id, body", messages));
  await tenant.admin.query("DROP TABLE public.raw");
  return {
    rawSealRowsPerSecond: Math.round(sample / seal),
    rawReadRowsPerSecond: Math.round(sample / read),
    rawWriteRowsPerSecond: Math.round(sample / write),
  };
}
