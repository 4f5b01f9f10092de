import assert from "node:assert/strict";
import { keepTenant } from "../../coordinator/keep-tenant.ts";
import { prepareTenant } from "../../migrations/mirror/engine.ts";
import { checkRows } from "../../migrations/row-check.ts";
import { Transit } from "../../migrations/vault/transit.ts";
import { getVault } from "../servers.ts";
import { createTenant, environment, r2, sealBody, seedPrompts } from "../migrations/mirror/tenant-fixture.ts";
import type { TestTenant } from "../migrations/mirror/tenant-fixture.ts";

describe("the keeper, of a range that has lost its signed root", function () {
  this.timeout(120_000);
  let tenant: TestTenant;
  let ids: string[];

  beforeEach(async () => {
    tenant = await createTenant();
    ids = await seedPrompts(tenant, 50);
    const prepared = await prepareTenant(tenant.job(r2));
    assert.equal(prepared.status, "done", prepared.reason);
  });
  afterEach(() => tenant.close());

  const job = () => {
    const { region, database } = tenant.job(r2);
    const transit = new Transit({ ...getVault(), mount: `transit-${environment}` });
    return { environment, tenant: tenant.tenant, database, region, transit, deadlineMs: Date.now() + 60_000 };
  };
  const change = (id: string, body: string) =>
    tenant.admin.query("UPDATE public.prompt_bodies SET body = $2 WHERE prompt_id = $1", [id, body]);

  it("signs it anew, once nothing waits and only when it may", async () => {
    const held = async () => {
      const { ranges, rootedRanges, faults } = await checkRows(
        environment,
        { id: tenant.tenant, ...job() },
        job().region,
      );
      assert.deepEqual(faults, []);
      return ranges - rootedRanges;
    };
    const turn = (isAllowed: boolean) => keepTenant({ ...job(), mayRestoreRoot: () => isAllowed });
    assert.equal(await held(), 0);
    await change(ids[0] ?? "", "changed");
    assert.equal((await turn(true)).status, "drained");
    assert.equal(await held(), 1);
    assert.equal((await turn(false)).status, "idle");
    assert.equal(await held(), 1);
    assert.equal((await turn(true)).status, "signed");
    assert.equal(await held(), 0);
    assert.equal((await turn(true)).status, "idle");
  });

  it("signs nothing where the sides differ, and says so", async () => {
    await change(ids[0] ?? "", "changed");
    assert.equal((await keepTenant(job())).status, "drained");
    const foreign = await sealBody(tenant, ids[1] ?? "", "written past the triggers");
    await tenant.admin.query("UPDATE public.prompt_bodies_sealed SET body = $2 WHERE prompt_id = $1", [
      ids[1],
      foreign,
    ]);
    const turn = keepTenant({ ...job(), mayRestoreRoot: () => true });
    await assert.rejects(turn, /range 0: 0 rows are missing, 0 too many and 1 different.*verify --rows/);
    const roots = await tenant.admin.query("SELECT FROM rc.range WHERE pair = 'prompt_bodies' AND root IS NOT NULL");
    assert.equal(roots.rowCount, 0);
  });
});
