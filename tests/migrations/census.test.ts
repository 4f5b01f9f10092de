import assert from "node:assert/strict";
import { censusLines } from "../../migrations/census-lines.ts";
import { countMembers } from "../../migrations/census.ts";
import type { Position } from "../../migrations/ledger/position.ts";
import { isPlatformAbsent, type WaveMember } from "../../migrations/nodes/wave-members.ts";
import type { ReleaseTarget, WaveInputs } from "../../migrations/wave-inputs.ts";
import { runNodes } from "./mirror/nodes.ts";
import { createTenant, r1, r2, seedPrompts, type TestTenant } from "./mirror/tenant-fixture.ts";

const region = { name: "local", postgresUrl: "env:MIR_POSTGRES_URL" };

describe("census of a wave", function () {
  this.timeout(60_000);
  let tenant: TestTenant;
  beforeEach(async () => {
    tenant = await createTenant();
    await seedPrompts(tenant, 300, 1000);
  });
  afterEach(() => tenant.close());

  const inputs = (release: ReleaseTarget): WaveInputs => ({
    kind: "prepare",
    environment: "mir",
    wave: "canary",
    waves: [{ name: "canary", selector: { rest: true } }],
    regions: [region],
    release,
    releaseRoles: [r1.role, r2.role],
    deadlineSeconds: 60,
    concurrency: 1,
  });

  const member = (served: ReleaseTarget): WaveMember => ({
    region,
    tenant: {
      id: tenant.tenant,
      region: "local",
      tags: [],
      database: tenant.database,
      isProbe: false,
      bornRelease: "r1",
      status: "active",
      createdAt: new Date(),
      release: served.id,
      pin: served.pin,
      states: [],
    },
  });

  it("counts exactly, guesses a rate and says so, and writes nothing", async () => {
    const census = await countMembers(inputs(r2), [member(r1)], () => undefined);
    assert.deepEqual([census.tenants, census.moving, census.dirty, census.obstacles], [1, 1, 0, []]);
    const [mirror] = census.mirrors;
    assert.deepEqual([mirror?.step, mirror?.rows, mirror?.rateFrom], ["build", 300, "sampled"]);
    assert.equal(mirror?.bytes, 300 * 1008);
    const lines = censusLines(inputs(r2), census).join("\n");
    assert.match(lines, /1 of 1 tenants move/);
    assert.match(
      lines,
      /prepare copies 300 rows, 296 KiB in 1 tenants: about \d+ s \(estimated from reading and sealing 2000 rows\)/,
    );
    assert.match(
      lines,
      /way back after prepare: nothing has moved; after cutover: .* seconds; after finalize: .* rebuilt, about/,
    );
    const written = await tenant.admin.query("SELECT FROM rc.keyset UNION ALL SELECT FROM rc.mirror");
    assert.equal(written.rowCount, 0);
  });

  it("takes measured rates before guesses, and counts what waits on the way back", async () => {
    await runNodes(tenant, r2);
    await tenant.admin.query("DELETE FROM public.prompts WHERE id IN (SELECT id FROM public.prompts LIMIT 7)");
    const census = await countMembers(inputs(r1), [member(r2)], () => 10_000);
    assert.deepEqual([census.mirrors[0]?.step, census.mirrors[0]?.rateFrom, census.dirty], ["follow", "measured", 7]);
    assert.match(
      censusLines(inputs(r1), census).join("\n"),
      /prepare drains 7 captured changes in 1 tenants: about 1 s/,
    );
  });

  it("believes the registry of tenants that are at their end, and visits the others", async () => {
    await runNodes(tenant, r2);
    const told = {
      tenant: tenant.tenant,
      mirror: "prompt-encryption",
      epoch: 4,
      bytes: 9000,
      asOf: new Date(),
    } as const;
    const at = (served: ReleaseTarget, position: Position): WaveMember => {
      const { region, tenant: known } = member(served);
      const states = [{ ...told, position, rows: 12, dirty: 3 }];
      return { region, tenant: { ...known, database: "left_long_ago", states } };
    };
    const settled = await countMembers(inputs(r2), [at(r2, "switched")], () => 6);
    assert.deepEqual([settled.tenants, settled.moving, settled.dirty, settled.obstacles], [1, 0, 3, []]);
    const [mirror] = settled.mirrors;
    assert.deepEqual([mirror?.step, mirror?.ending, mirror?.rows, mirror?.rowsPerS], ["nothing", "retire", 12, 6]);
    for (const unfinished of [at(r1, "switched"), at(r2, "mirroring")])
      await assert.rejects(
        countMembers(inputs(r2), [unfinished], () => 6),
        (error: Error) => {
          const start = `tenant ${tenant.tenant}: its database left_long_ago is not on PostgreSQL at 127.0.0.1`;
          assert.equal(error.message.slice(0, start.length), start);
          assert.equal(
            isPlatformAbsent(error),
            false,
            "a tenant's database that is gone is no platform that is not there",
          );
          return true;
        },
      );
  });

  it("names what is in the way", async () => {
    await tenant.admin.query("ALTER TABLE public.prompt_bodies ADD author text");
    const census = await countMembers(inputs(r2), [member(r1)], () => undefined);
    assert.match(
      censusLines(inputs(r2), census).at(-1) ?? "",
      /^refused: tenant m\w+, prompt_bodies: holds body inline/,
    );
  });
});
