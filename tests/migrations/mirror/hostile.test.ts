import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { MirrorDefinition } from "../../../migrations/mirror/definition.ts";
import { cutoverTenant, finalizeTenant, prepareTenant } from "../../../migrations/mirror/engine.ts";
import { quoteName } from "../../../migrations/postgres/identifier.ts";
import {
  createTenant,
  openBodies,
  r1,
  r2,
  readBodies,
  sealBody,
  seedPrompts,
  type TestTenant,
} from "./tenant-fixture.ts";

const hostile: MirrorDefinition = {
  name: 'it\'s "a" mirror; --',
  keysetClass: "prompt",
  pairs: [
    {
      source: "we\"ird $$ \\table' %s; DROP TABLE x",
      sink: "sealed $rc$ тайна 秘密 with a name that is longer than sixty-th",
      key: ["seq", 'na"me', "at"],
      payload: "op; $1",
      kind: "hostile.body",
    },
  ],
};
const pair = hostile.pairs[0]!;
const r2Hostile = { ...r2, sinkMirrors: [hostile.name] };

describe("bad and odd input", function () {
  this.timeout(120_000);
  let tenant: TestTenant;
  afterEach(() => tenant.close());

  async function expectDone(run: Promise<{ status: string; reason?: string }>): Promise<void> {
    const result = await run;
    assert.deepEqual([result.status, result.reason], ["done", undefined]);
  }

  it("carries hostile names, a composite key of number, text and date, and its changes, both ways", async () => {
    const [source, sink, payload] = [pair.source, pair.sink, pair.payload].map(quoteName) as [string, string, string];
    const keys = `seq bigint, ${quoteName('na"me')} text, at date, PRIMARY KEY (seq, ${quoteName('na"me')}, at)`;
    tenant = await createTenant(
      `CREATE TABLE ${source} (${payload} text NOT NULL, ${keys}); CREATE TABLE ${sink} (${payload} bytea NOT NULL, ${keys})`,
      [hostile],
    );
    await tenant.admin.query(
      `INSERT INTO public.${source} SELECT 'payload ' || n, n % 7 - 3, E'k''"\\\\{},' || n, '2024-02-29'::date + n % 3
       FROM generate_series(1, 2500) AS n`,
    );
    const read = async (): Promise<unknown> =>
      (await tenant.admin.query(`SELECT * FROM public.${source} ORDER BY 2, 3, 4`)).rows;
    await expectDone(prepareTenant(tenant.job(r2Hostile)));
    const session = await tenant.as("platform_r1");
    await session.query(`UPDATE ${source} SET seq = seq + 100 WHERE ${quoteName('na"me')} LIKE '%7'`);
    await session.query(`DELETE FROM ${source} WHERE ${quoteName('na"me')} LIKE '%13'`);
    const before = await read();
    await expectDone(cutoverTenant(tenant.job(r2Hostile)));
    const renamed = await tenant.as("platform_r2");
    await assert.rejects(
      renamed.query(`UPDATE ${sink} SET seq = seq + 1 WHERE seq = 1`),
      /the key of a sealed row changed/,
    );
    await tenant.admin.query(`SET ROLE rc_migrator; DELETE FROM public.${source}; RESET ROLE`);
    await expectDone(finalizeTenant(tenant.job(r2Hostile, { mirrors: [hostile.name] })));
    await expectDone(prepareTenant(tenant.job(r1, { back: r2Hostile })));
    await expectDone(cutoverTenant(tenant.job(r1, { back: r2Hostile })));
    assert.deepEqual(await read(), before);
  });

  it("carries empty text, 8 MB, emoji, control characters and text that looks like our ciphertext", async () => {
    tenant = await createTenant();
    const bodies = new Map<string, string>();
    const ids = await seedPrompts(tenant, 6);
    const lookAlike = Buffer.concat([Buffer.from([1, 0, 0, 0, 7]), randomBytes(40).map((byte) => byte & 0x7f || 1)]);
    lookAlike.fill(1, 1, 4);
    const odd = [
      "",
      "x".repeat(8_000_000),
      "👩‍👩‍👧‍👦 \u{10FFFF} ﷽",
      "\u0001\u001f\r\n\t\\N\\.",
      lookAlike.toString("latin1"),
      "\\x0102",
    ];
    for (const [nth, id] of ids.entries()) {
      bodies.set(id, odd[nth] as string);
      await tenant.admin.query("UPDATE public.prompt_bodies SET body = $2 WHERE prompt_id = $1", [id, odd[nth]]);
    }
    const expected = new Map([...bodies].sort());
    await expectDone(prepareTenant(tenant.job(r2)));
    await expectDone(cutoverTenant(tenant.job(r2)));
    assert.deepEqual(await openBodies(tenant), expected);
    const session = await tenant.as("platform_r2");
    for (const id of ids) {
      const body = `${bodies.get(id)} drained`;
      expected.set(id, body);
      await session.query("UPDATE prompt_bodies_sealed SET body = $2 WHERE prompt_id = $1", [
        id,
        await sealBody(tenant, id, body),
      ]);
    }
    await expectDone(prepareTenant(tenant.job(r1)));
    await expectDone(cutoverTenant(tenant.job(r1)));
    assert.deepEqual(await readBodies(tenant, "mirroring"), expected);
  });

  it("refuses to take back a sealed value that is no text, and goes on once it was replaced", async () => {
    tenant = await createTenant();
    const [id] = (await seedPrompts(tenant, 3)) as [string];
    await expectDone(prepareTenant(tenant.job(r2)));
    await expectDone(cutoverTenant(tenant.job(r2)));
    const session = await tenant.as("platform_r2");
    const update = async (body: string): Promise<unknown> =>
      session.query("UPDATE prompt_bodies_sealed SET body = $2 WHERE prompt_id = $1", [
        id,
        await sealBody(tenant, id, body),
      ]);
    await update("nul \0 inside");
    const refused = await prepareTenant(tenant.job(r1));
    assert.equal(refused.status, "failed");
    assert.match(refused.reason ?? "", /prompt_bodies_sealed is not text/);
    assert.doesNotMatch(JSON.stringify(refused), /inside/);
    await update("mended");
    await expectDone(prepareTenant(tenant.job(r1)));
    await expectDone(cutoverTenant(tenant.job(r1)));
    assert.equal((await readBodies(tenant, "mirroring")).get(id), "mended");
  });

  it("moves a tenant without rows", async () => {
    tenant = await createTenant();
    for (const release of [r2, r1]) {
      await expectDone(prepareTenant(tenant.job(release)));
      await expectDone(cutoverTenant(tenant.job(release)));
      await expectDone(finalizeTenant(tenant.job(release, { mirrors: ["prompt-encryption"] })));
    }
  });

  it("refuses TRUNCATE of the authoritative side while its changes are captured", async () => {
    tenant = await createTenant();
    await seedPrompts(tenant, 3);
    await expectDone(prepareTenant(tenant.job(r2)));
    await assert.rejects(tenant.admin.query("TRUNCATE public.prompt_bodies"), /TRUNCATE of prompt_bodies is refused/);
    await assert.rejects(
      tenant.admin.query("BEGIN; SET LOCAL session_replication_role = replica; TRUNCATE public.prompt_bodies"),
      /is refused/,
    );
    await tenant.admin.query("ROLLBACK");
    await tenant.admin.query(
      "BEGIN; SET LOCAL session_replication_role = replica; UPDATE public.prompt_bodies SET body = 'r'; COMMIT",
    );
    const captured = await tenant.admin.query("SELECT count(*)::int AS n FROM rc.dirty_prompt_bodies");
    assert.equal(captured.rows[0].n, 3);
  });
});
