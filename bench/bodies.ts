import { randomBytes } from "node:crypto";
import { copyIn } from "../migrations/postgres/copy.ts";
import { CopyEncoder } from "../migrations/postgres/copy-format.ts";
import type { TestTenant } from "../tests/migrations/mirror/tenant-fixture.ts";

/** Rows of one COPY while seeding. */
const batchRows = 5_000;

/**
 * Adds prompts with bodies in clear, as R1 holds them: random uuids, so that the order of keys and the order on disk have
 * nothing in common, and text that does not compress, so that a byte written is a byte.
 */
export async function seedBodies(tenant: TestTenant, rows: number, bodyBytes: number): Promise<void> {
  const perBatch = Math.max(1, Math.min(batchRows, Math.floor(32_000_000 / bodyBytes)));
  for (let done = 0; done < rows; done += perBatch) {
    const parents = new CopyEncoder();
    const bodies = new CopyEncoder();
    for (let row = 0; row < Math.min(perBatch, rows - done); row++) {
      const id = randomBytes(16);
      parents.add([id]);
      bodies.add([
        id,
        Buffer.from(
          randomBytes(Math.ceil((bodyBytes * 3) / 4))
            .toString("base64")
            .slice(0, bodyBytes),
        ),
      ]);
    }
    await copyIn(tenant.admin, "public.prompts", "id", parents.finish());
    await copyIn(tenant.admin, "public.prompt_bodies", "prompt_id, body", bodies.finish());
  }
  await tenant.admin.query("VACUUM ANALYZE public.prompts, public.prompt_bodies");
}
