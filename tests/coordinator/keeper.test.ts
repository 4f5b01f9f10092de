import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { keepTenant } from "../../coordinator/keep-tenant.ts";
import { KeeperSessions } from "../../coordinator/keeper-sessions.ts";
import { Keeper } from "../../coordinator/keeper.ts";
import { findFreePort } from "../../local/servers/free-port.ts";
import { bundle } from "../../local/images/bundle.ts";
import { lockTenant } from "../../migrations/ledger/tenant-lock.ts";
import { cutoverTenant, finalizeTenant, prepareTenant } from "../../migrations/mirror/engine.ts";
import { ensureRegistry } from "../../migrations/registry/registry-schema.ts";
import { Registry } from "../../migrations/registry/registry.ts";
import { readTenantState } from "../../migrations/tenant-state.ts";
import { Transit } from "../../migrations/vault/transit.ts";
import { createDatabase, databaseUrl, dropDatabase, getPostgresUrl, getVault, roleUrl } from "../servers.ts";
import {
  createTenant,
  environment,
  openBodies,
  r1,
  r2,
  readBodies,
  sealBody,
  seedPrompts,
} from "../migrations/mirror/tenant-fixture.ts";
import type { TestTenant } from "../migrations/mirror/tenant-fixture.ts";

const mirror = "prompt-encryption";

describe("the keeper", function () {
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

  const transit = () => new Transit({ ...getVault(), mount: `transit-${environment}` });
  const job = (deadlineMs = Date.now() + 60_000) => {
    const { region, database } = tenant.job(r2);
    return { environment, tenant: tenant.tenant, database, region, transit: transit(), deadlineMs };
  };
  const change = (id: string, body: string) =>
    tenant.admin.query("UPDATE public.prompt_bodies SET body = $2 WHERE prompt_id = $1", [id, body]);

  it("carries changes of the source to the sink while a mirror waits, and moves nothing else", async () => {
    await change(ids[0] ?? "", "changed");
    await tenant.admin.query("DELETE FROM public.prompts WHERE id = $1", [ids[1]]);
    const kept = await keepTenant(job());
    assert.equal(kept.status, "drained");
    assert.ok(kept.waitingBefore >= 2);
    assert.equal(kept.waitingAfter, 0);
    assert.deepEqual(await openBodies(tenant), await readBodies(tenant, "mirroring"));
    const [state] = await readTenantState({ id: tenant.tenant, database: tenant.database }, job().region);
    assert.deepEqual([state?.mirror, state?.position, state?.dirty], [mirror, "mirroring", 0]);
    assert.equal((await keepTenant(job())).status, "idle");
  });

  it("carries changes of the sink back to the source after the cutover", async () => {
    assert.equal((await cutoverTenant(tenant.job(r2))).status, "done");
    const id = ids[0] ?? "";
    const sealed = await sealBody(tenant, id, "written by r2");
    await tenant.admin.query("UPDATE public.prompt_bodies_sealed SET body = $2 WHERE prompt_id = $1", [id, sealed]);
    assert.equal((await keepTenant(job())).status, "drained");
    assert.deepEqual(await readBodies(tenant, "mirroring"), await openBodies(tenant));
    assert.equal((await readBodies(tenant, "mirroring")).get(id), "written by r2");
  });

  it("builds nothing again once a mirror is retired", async () => {
    await cutoverTenant(tenant.job(r2));
    const done = await finalizeTenant(tenant.job(r2, { mirrors: [mirror] }));
    assert.equal(done.status, "done", done.reason);
    assert.equal((await keepTenant(job())).status, "idle");
    const [state] = await readTenantState({ id: tenant.tenant, database: tenant.database }, job().region);
    assert.equal(state?.position, "retired");
  });

  it("leaves a tenant alone that another run holds, and stops when it is told to", async () => {
    await change(ids[0] ?? "", "changed");
    await lockTenant(tenant.admin, tenant.tenant, 0);
    assert.equal((await keepTenant(job())).status, "busy");
    await tenant.admin.query("SELECT pg_advisory_unlock_all()");
    assert.equal((await keepTenant(job(0))).status, "stopped");
    assert.equal((await keepTenant(job())).status, "drained");
  });

  it("leaves the cancel flag of an update alone, and a paused tenant as it is", async () => {
    const flags = async () => (await tenant.admin.query("SELECT cancel, pause FROM rc.mirror")).rows[0];
    await change(ids[0] ?? "", "changed");
    await tenant.admin.query("UPDATE rc.mirror SET cancel = true, cancelled_at = now() - interval '1 hour'");
    assert.equal((await keepTenant(job())).status, "drained");
    assert.deepEqual(await flags(), { cancel: true, pause: false });
    await change(ids[0] ?? "", "changed again");
    await tenant.admin.query("UPDATE rc.mirror SET pause = true");
    assert.equal((await keepTenant(job())).status, "idle");
    await tenant.admin.query("UPDATE rc.mirror SET pause = false");
    assert.equal((await keepTenant(job())).status, "drained");
  });

  it("uses the sessions of a tenant that is written to again, holds nothing between turns, and opens new ones when they are ended", async () => {
    const kept = new KeeperSessions();
    const turn = async (body: string): Promise<number[]> => {
      await change(ids[0] ?? "", body);
      assert.equal((await keepTenant(job(), kept)).status, "drained");
      const found = await tenant.admin.query<{ pid: number }>(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'rc-mirror % keeper %' AND datname = current_database() ORDER BY pid",
      );
      return found.rows.map(({ pid }) => pid);
    };
    const first = await turn("one");
    assert.equal(first.length, 4);
    await lockTenant(tenant.admin, tenant.tenant, 0);
    await tenant.admin.query("SELECT pg_advisory_unlock_all()");
    assert.deepEqual(await turn("two"), first);
    const ended = "SELECT pg_terminate_backend(pid, 5000) FROM unnest($1::int[]) AS pid";
    await tenant.admin.query(ended, [first]);
    await sleep(200);
    const second = await turn("three");
    assert.deepEqual(
      second.filter((pid) => first.includes(pid)),
      [],
    );
    // A tenant that nobody writes to holds no sessions.
    assert.equal((await keepTenant(job(), kept)).status, "idle");
    await kept.close();
    assert.deepEqual(await openBodies(tenant), await readBodies(tenant, "mirroring"));
  });

  describe("of a region", () => {
    let registry: Registry;

    beforeEach(async () => {
      await createDatabase("rc_registry");
      await ensureRegistry(databaseUrl("rc_registry"));
      registry = new Registry(databaseUrl("rc_registry"));
      const { tenant: id, database } = tenant;
      await registry.tenants.register([{ id, region: "local", tags: [], database, isProbe: false, bornRelease: "r1" }]);
      await registry.tenants.setStatus("onboarding", "active", {});
      await registry.projection.record(await readTenantState({ id, database }, job().region));
    });
    afterEach(async () => {
      await registry.close();
      await dropDatabase("rc_registry");
    });

    it("refreshes the projection, and says which tenant it could not follow", async () => {
      const [before] = await registry.projection.list();
      const lines: string[] = [];
      const settings = {
        environment,
        region: job().region,
        registry,
        transit: transit(),
        log: (line: string) => void lines.push(line),
      };
      await change(ids[0] ?? "", "changed");
      const keeper = new Keeper(settings);
      await keeper.round();
      const [after] = await registry.projection.list();
      assert.ok((after?.asOf ?? 0) > (before?.asOf ?? 0));
      assert.equal(after?.dirty, 0);
      assert.deepEqual([keeper.health.tenants, keeper.health.waiting, keeper.health.faults], [1, 0, {}]);
      assert.match(lines.join(), /changes drained and compared, 0 wait/);

      await change(ids[0] ?? "", "changed again");
      const blind = new Keeper({
        ...settings,
        transit: new Transit({ address: "http://127.0.0.1:9", token: "x", mount: "transit-mir", deadlineMs: 500 }),
      });
      await blind.round();
      assert.deepEqual(Object.keys(blind.health.faults), [tenant.tenant]);
      assert.ok(blind.isHealthy(), "a Vault that is away makes no restart of the keeper necessary");
      assert.ok(!blind.isHealthy(new Date(Date.now() + 120_000)));
    });

    it("points a route that an update has left behind where the tenant's database is", async () => {
      const region = job().region;
      const { tenant: id } = tenant;
      await registry.routes.point([id], { release: r1.id, pin: r1.pin });
      assert.equal((await cutoverTenant(tenant.job(r2))).status, "done"); // and nobody lived to point the route
      const lines: string[] = [];
      const log = (line: string) => void lines.push(line);
      const keeper = new Keeper({ environment, region, registry, transit: transit(), log });
      await lockTenant(tenant.admin, id, 0);
      await keeper.round();
      assert.equal(
        (await registry.routes.list([id]))[0]?.pin,
        r1.pin,
        "while a run has the tenant, the route is its own",
      );
      await tenant.admin.query("SELECT pg_advisory_unlock_all()");
      await keeper.round();
      assert.equal((await registry.routes.list([id]))[0]?.pin, r2.pin);
      assert.match(lines.join(), new RegExp(`${id}: routed to ${r2.pin}`));
      await keeper.round();
      assert.equal(lines.filter((line) => /routed/.test(line)).length, 1);
    });

    it("runs as one bundled file with the keeper's own logins, and ends on SIGTERM", async () => {
      const folder = await mkdtemp(join(tmpdir(), "keeper-"));
      const { code } = await bundle("coordinator/keeper-entry.ts");
      assert.doesNotMatch(Buffer.from(code).toString(), /pulumi\/automation/);
      await writeFile(join(folder, "keeper.mjs"), code);
      await symlink(resolve(import.meta.dirname, "../../node_modules"), join(folder, "node_modules"));
      const port = await findFreePort();
      const keeper = spawn(process.execPath, ["keeper.mjs"], {
        cwd: folder,
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          ENVIRONMENT: environment,
          REGION: "local",
          PORT: String(port),
          POSTGRES_URL: roleUrl("rc_keeper", getPostgresUrl()),
          VAULT_ADDR: getVault().address,
          ...(await appRole()),
          TRANSIT_MOUNT: `transit-${environment}`,
        },
      });
      let output = "";
      keeper.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
      keeper.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
      try {
        await change(ids[0] ?? "", "changed for the keeper");
        const health = await answerOf(
          `http://127.0.0.1:${port}/healthz`,
          (body) => body.includes('"rounds":') && !body.includes('"rounds":0'),
        );
        assert.deepEqual(JSON.parse(health).faults, {}, output);
        for (let tries = 0; tries < 200 && !output.includes("drained and compared"); tries++) await sleep(100);
        assert.match(output, /drained and compared, 0 wait/);
        assert.match(await answerOf(`http://127.0.0.1:${port}/metrics`, () => true), /^rc_keeper_tenants 1$/m);
        assert.equal((await openBodies(tenant)).get(ids[0] ?? ""), "changed for the keeper");
        keeper.kill("SIGTERM");
        const [exitCode] = (await once(keeper, "exit")) as [number];
        assert.equal(exitCode, 0);
        assert.match(output, /stopped\n$/);
      } finally {
        keeper.kill("SIGKILL");
        await rm(folder, { recursive: true, force: true });
      }
    });
  });
});

/** Waits until an address answers as wanted. */
async function answerOf(url: string, isWanted: (body: string) => boolean): Promise<string> {
  for (let tries = 0; tries < 200; tries++) {
    const body = await fetch(url)
      .then((response) => response.text())
      .catch(() => "");
    if (body !== "" && isWanted(body)) return body;
    await sleep(100);
  }
  throw new Error(`${url} did not answer as wanted`);
}

/** The keeper's login as components/secrets.ts makes it: it may seal and open, and look at keys. */
async function appRole(): Promise<{ VAULT_ROLE_ID: string; VAULT_SECRET_ID: string }> {
  const { address, token } = getVault();
  const call = async (method: string, path: string, body?: object): Promise<Record<string, string>> => {
    const response = await fetch(`${address}/v1/${path}`, {
      method,
      headers: { "X-Vault-Token": token },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok && !text.includes("already in use")) throw new Error(`Vault: ${path}: ${response.status}`);
    return text === "" ? {} : ((JSON.parse(text) as { data?: Record<string, string> }).data ?? {});
  };
  const mount = `transit-${environment}`;
  const rules = [
    [`${mount}/decrypt/kek-*`, "update"],
    [`${mount}/encrypt/kek-*`, "update"],
    [`${mount}/keys/kek-*`, "read"],
  ].map(([path, capability]) => `path "${path}" { capabilities = ["${capability}"] }`);
  await call("POST", "sys/auth/approle", { type: "approle" });
  await call("PUT", "sys/policies/acl/test-keeper", { policy: rules.join("\n") });
  await call("POST", "auth/approle/role/test-keeper", { token_policies: "test-keeper" });
  const { role_id: roleId = "" } = await call("GET", "auth/approle/role/test-keeper/role-id");
  const { secret_id: secretId = "" } = await call("POST", "auth/approle/role/test-keeper/secret-id", {});
  return { VAULT_ROLE_ID: roleId, VAULT_SECRET_ID: secretId };
}
