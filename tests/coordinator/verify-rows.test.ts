import assert from "node:assert/strict";
import { prepareTenant } from "../../migrations/mirror/engine.ts";
import { ensureRegistry } from "../../migrations/registry/registry-schema.ts";
import { databaseUrl } from "../servers.ts";
import {
  createTenant,
  environment,
  r1 as source,
  r2 as sink,
  sealBody,
  seedPrompts,
} from "../migrations/mirror/tenant-fixture.ts";
import type { TestTenant } from "../migrations/mirror/tenant-fixture.ts";
import { CommandFixture, r1, stackText } from "./command-fixture.ts";

const rows = 20;

/** Two tenants on R1, both sides of their prompts there: the wave is where a cutover would begin. */
describe("coordinator verify --rows", function () {
  this.timeout(180_000);
  let fixture: CommandFixture;
  let tampered: TestTenant;
  let sound: TestTenant;
  let id: string;

  before(async () => {
    fixture = await CommandFixture.open();
    await fixture.stack.writeStackFile(
      stackText
        .replace("name: dev", `name: ${environment}`)
        .replace("present: { vault: false", "present: { vault: true"),
    );
    await ensureRegistry(databaseUrl("rc_registry"));
    [tampered, id] = await openTenant();
    [sound] = await openTenant();
  });
  after(async () => {
    await tampered.close();
    await sound.close();
    await fixture.close();
  });

  async function openTenant(): Promise<[TestTenant, string]> {
    const made = await createTenant();
    const [first = ""] = await seedPrompts(made, rows);
    const prepared = await prepareTenant(made.job(sink));
    assert.equal(prepared.status, "done", prepared.reason);
    const { tenants, routes } = fixture.registry;
    const { tenant, database } = made;
    await tenants.register([
      { id: tenant, region: "local", tags: [], database, isProbe: false, bornRelease: source.id },
    ]);
    await tenants.setStatus("onboarding", "active", {});
    await routes.point([tenant], { release: "r1", pin: r1 });
    return [made, first];
  }

  const evidence = async () => (await fixture.registry.records.listVerifications(environment)).length;
  const verify = (...words: string[]) => fixture.dev("verify", "--rows", ...words);

  it("compares every row of both sides, finds all in order and keeps the evidence", async () => {
    const run = await verify();
    assert.equal(run.code, 0, run.stdout + run.stderr);
    for (const { tenant } of [tampered, sound])
      assert.match(
        run.stdout,
        new RegExp(`^${tenant}: ${rows} rows compared on both sides, all equal; (\\d+) of \\1 `, "m"),
      );
    assert.equal(await evidence(), 1);
  });

  it("asks only about the tenant that it is given, and refuses one that is in no wave", async () => {
    const run = await verify("--tenant", sound.tenant, "--json");
    assert.equal(run.code, 0, run.stdout + run.stderr);
    const shown = JSON.parse(run.stdout) as { rows: { tenant: string; compared: number; faults: unknown[] }[] };
    assert.deepEqual(
      shown.rows.map(({ tenant, compared, faults }) => ({ tenant, compared, faults })),
      [{ tenant: sound.tenant, compared: rows, faults: [] }],
    );
    const refused = await verify("--tenant", "nobody");
    assert.equal(refused.code, 2, refused.stdout + refused.stderr);
    assert.match(refused.stdout, /tenant nobody is in no wave/);
  });

  it("finds an older ciphertext that was put back, names it without its text, and keeps no evidence", async () => {
    const older = await sealBody(tampered, id, "what the prompt was before");
    const before = await evidence();
    // No capture stands on the sealed side yet: an attacker who may write there leaves no other trace.
    await tampered.admin.query("UPDATE public.prompt_bodies_sealed SET body = $2 WHERE prompt_id = $1", [id, older]);

    const run = await verify();
    assert.equal(run.code, 2, run.stdout + run.stderr);
    assert.match(run.stdout, new RegExp(`^${tampered.tenant}: .* on both sides, 1 fault;`, "m"));
    assert.match(run.stdout, new RegExp(`^ {4}- prompt_bodies_sealed, ${id}: .*older or a foreign`, "m"));
    assert.match(run.stdout, new RegExp(`^${sound.tenant}: .* all equal;`, "m"));

    const json = await verify("--tenant", tampered.tenant, "--json");
    assert.equal(json.code, 2, json.stdout + json.stderr);
    const [only, ...others] = (JSON.parse(json.stdout) as { rows: { faults: Record<string, string>[] }[] }).rows;
    assert.deepEqual(others, []);
    assert.deepEqual(
      only?.faults.map(({ tenant, table, key }) => [tenant, table, key]),
      [[tampered.tenant, "prompt_bodies_sealed", id]],
    );
    assert.doesNotMatch(run.stdout + run.stderr + json.stdout + json.stderr, /what the prompt|body of|xxxx/);

    const elsewhere = await verify("--tenant", sound.tenant);
    assert.equal(elsewhere.code, 0, elsewhere.stdout + elsewhere.stderr);
    assert.doesNotMatch(elsewhere.stdout, new RegExp(tampered.tenant));
    assert.equal(await evidence(), before + 1, "only the last of the three found everything in order");
  });
});
