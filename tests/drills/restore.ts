import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { tendPrimary } from "../../migrations/keys/new-primary.ts";
import { oldestKekOfDumps } from "../../migrations/keys/live-backups.ts";
import { rotateKek } from "../../migrations/keys/rotate-kek.ts";
import { kekName, Transit } from "../../migrations/vault/transit.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import { askVault, ensureMounted } from "../migrations/vault/test-vault.ts";
import { createRoles, databaseUrl, getVault } from "../servers.ts";
import { cloneDatabase } from "./base-tenants.ts";
import { ArchivedCluster } from "./archived-cluster.ts";
import type { Drill, DrillCase } from "./drill.ts";
import { DrillCustody } from "./drill-custody.ts";
import { DrillTenant, environment } from "./drill-tenant.ts";
import { FrontDoor, type Answer } from "./front-door.ts";
import { judge } from "./judge.ts";
import { bodyDigest } from "./operation-log.ts";
import { Traffic } from "./traffic.ts";

/** What was saved comes back whole or not at all, whatever happened to data and keys since. */
export const restore: Drill = {
  name: "restore",
  about: "sealed dumps and point-in-time recovery: back whole, or refused",
  cases: () => [beforeFirstMutation, olderThanRotation, withoutKeys, underMaintenance, pointInTime],
};

const beforeFirstMutation: DrillCase = {
  title: "a sealed dump from before the first mutation, restored after the cutover",
  async run(stage, random) {
    const tenant = await stage.tenant("off");
    const custody = await DrillCustody.open(tenant, r1);
    try {
      const traffic = new Traffic(tenant, stage.base, random);
      await traffic.burst(5);
      await traffic.stop();
      const manifest = await custody.take(`prepare ${r2.pin}`);
      const sealed = await readFile(join(custody.root, environment, tenant.tenant, manifest.id, "dump"));
      for (const text of ["PGDMP", "base prompt", "prompt_bodies"])
        if (sealed.includes(text)) throw new Error(`the dump holds ${JSON.stringify(text)} in clear`);
      await tenant.move("prepare", r2);
      await tenant.move("cutover", r2);
      await custody.registry.routes.point([tenant.tenant], { release: r2.id, pin: r2.pin });
      // What users did since is what a restore takes away, and says so.
      await tenant.admin.query("DELETE FROM prompts WHERE title < 'prompt 5'");
      await custody.maintenance(true);
      await custody.restore(manifest.id);
      const restored = await stage.reopen(tenant);
      const [route] = await custody.registry.routes.list([tenant.tenant]);
      if (route?.pin !== r1.pin) throw new Error(`the route points to ${route?.pin}, it should point to ${r1.pin}`);
      await judge(restored, traffic.log, "off");
      await restored.move("prepare", r2);
      await restored.move("cutover", r2);
      await judge(restored, traffic.log, "switched");
    } finally {
      await custody.close();
    }
  },
};

/** Keys go on while a dump lies there: the KEK is rotated, another key seals. */
const olderThanRotation: DrillCase = {
  title: "a dump that is older than a rotation of the KEK and a new primary key",
  async run(stage, random) {
    const tenant = await stage.tenant("switched");
    const custody = await DrillCustody.open(tenant, r2);
    try {
      const traffic = new Traffic(tenant, stage.base, random);
      await traffic.burst(5);
      await traffic.stop();
      const manifest = await custody.take();
      const { transit } = custody;
      const client = tenant.admin;
      const id = tenant.tenant;
      const oldestLiveBackup = await oldestKekOfDumps(custody.folder, id);
      const rotated = await rotateKek({ client, transit, tenant: id, minAgeMs: 0, oldestLiveBackup });
      if (rotated.minDecryptionVersion > manifest.keyVersions.oldestKek)
        throw new Error(`the rotation put version ${manifest.keyVersions.oldestKek} out of use, which the dump needs`);
      await tendPrimary(client, transit, id, "prompt", { isWanted: true });
      const promoted = await tendPrimary(client, transit, id, "prompt", { cacheAgeMs: 0 });
      if (promoted?.status !== "promoted") throw new Error(`the new key is ${promoted?.status}, not promoted`);
      await custody.maintenance(true);
      await custody.restore(manifest.id);
      const restored = await stage.reopen(tenant);
      await judge(restored, traffic.log, "switched");
      // A service that learned the new key before the restore seals with it afterwards.
      const { aead } = await restored.keyring().get("prompt");
      if (aead.primaryKeyId !== promoted.keyId) throw new Error("the key that seals was lost by the restore");
      const record = "a5ae5a6b-0000-4000-8000-00000000000c";
      await restored.admin.query("INSERT INTO prompts (id, title) VALUES ($1, 'after')", [record]);
      const sealed = await restored.seal("prompt", record, "after");
      await restored.admin.query("INSERT INTO prompt_bodies_sealed VALUES ($1, $2)", [record, sealed]);
      traffic.log.begin("prompt", record, bodyDigest("after"));
      await judge(restored, traffic.log, "switched");
    } finally {
      await custody.close();
    }
  },
};

const withoutKeys: DrillCase = {
  title: "a dump whose keys are gone, by version or altogether, is refused and nothing is changed",
  async run(stage, random) {
    const tenant = await stage.tenant("switched");
    const custody = await DrillCustody.open(tenant, r2);
    const key = `transit-${environment}/keys/${kekName(tenant.tenant)}`;
    try {
      const traffic = new Traffic(tenant, stage.base, random);
      await traffic.burst(3);
      const manifest = await custody.take();
      await custody.maintenance(true);
      const { client, transit } = { client: tenant.admin, transit: custody.transit };
      await rotateKek({ client, transit, tenant: tenant.tenant, minAgeMs: 0, oldestLiveBackup: 1 });
      const { latestVersion } = await transit.getKek(tenant.tenant);
      await askVault("POST", `${key}/config`, { min_decryption_version: latestVersion });
      const byVersion = await custody.refusal(manifest.id);
      if (!byVersion.includes("min_decryption_version")) throw new Error(`refused for another reason: ${byVersion}`);
      // A Vault that came back without its keys.
      const emptyMount = `transit-${environment}-empty`;
      await ensureMounted(`mounts/${emptyMount}`, { type: "transit" });
      const empty = new Transit({ ...getVault(), mount: emptyMount });
      const altogether = await custody.refusal(manifest.id, { transit: empty });
      if (!/the KEK of tenant .* is not in/.test(altogether))
        throw new Error(`refused for another reason: ${altogether}`);
      await traffic.burst(1); // the tenant's own database was not touched
      await traffic.stop();
      await judge(tenant, traffic.log, "switched");
    } finally {
      await askVault("POST", `${key}/config`, { min_decryption_version: 1 });
      await custody.close();
    }
  },
};

/** Users send all the time, through the real gateway and a real service. */
const underMaintenance: DrillCase = {
  title: "requests during a restore get 503 and Retry-After, and no acknowledged write is lost",
  async run(stage) {
    const tenant = await stage.tenant("off");
    const custody = await DrillCustody.open(tenant, r1);
    let door: FrontDoor | undefined;
    try {
      door = await FrontDoor.open(tenant, `${tenant.database}_registry`);
      const answers: Answer[] = [...(await door.writeUntil(201))];
      for (let nth = 0; nth < 10; nth += 1) answers.push(await door.write());
      await custody.maintenance(true);
      answers.push(...(await door.writeUntil(503))); // from here on nothing gets through
      let isOver = false;
      const during: Answer[] = [];
      const knocking = (async (at: FrontDoor) => {
        while (!isOver) during.push(await at.write());
      })(door);
      try {
        const manifest = await custody.take();
        await custody.restore(manifest.id);
      } finally {
        isOver = true;
        await knocking;
      }
      const wrong = during.find(({ status, retryAfter }) => status !== 503 || !(Number(retryAfter) > 0));
      if (wrong !== undefined)
        throw new Error(`during the restore an answer was ${wrong.status}, Retry-After ${wrong.retryAfter}`);
      await custody.maintenance(false);
      answers.push(...(await door.writeUntil(201)));
      for (let nth = 0; nth < 10; nth += 1) answers.push(await door.write());
      const restored = await stage.reopen(tenant);
      const written = answers.filter(({ id }) => id !== undefined);
      const found = await restored.admin.query<{ id: string; body: string }>(
        "SELECT prompt_id::text AS id, body FROM prompt_bodies WHERE prompt_id = ANY ($1)",
        [written.map(({ id }) => id)],
      );
      const bodies = new Map(found.rows.map(({ id, body }) => [id, body]));
      const lost = written.filter(({ id = "", body }) => bodies.get(id) !== body);
      if (lost.length > 0) throw new Error(`${lost.length} of ${written.length} acknowledged writes are lost`);
      return `${written.length} writes acknowledged, ${during.length} refused during the restore`;
    } finally {
      await door?.close();
      await custody.close();
    }
  },
};

/** The platform's own recovery: real archived log, and a moment in the middle of a copy. */
const pointInTime: DrillCase = {
  title: "a database recovered to a point in the middle of prepare goes on and ends well",
  async run(stage, random) {
    // A copy of its own: nobody may be connected to the one that is cloned.
    const source = await stage.tenant("off");
    const cluster = await ArchivedCluster.start();
    const before = { server: process.env["RC_TEST_POSTGRES_URL"], drill: process.env["DRL_POSTGRES_URL"] };
    let tenant: DrillTenant | undefined;
    try {
      const from = databaseUrl(source.database);
      process.env["RC_TEST_POSTGRES_URL"] = cluster.url;
      process.env["DRL_POSTGRES_URL"] = cluster.url;
      await createRoles();
      await cloneDatabase("template0", source.database);
      await cluster.copyDatabase(from, databaseUrl(source.database));
      await cluster.baseBackup();
      tenant = await DrillTenant.open(source.tenant, source.database, stage.migrationsFolder);
      const traffic = new Traffic(tenant, stage.base, random);
      await traffic.burst(5);
      const run = tenant.start("prepare", r2, { at: "chunk.commit.after", signal: "SIGSTOP" });
      await run.stopped();
      await traffic.burst(5);
      await traffic.stop();
      const now = await tenant.admin.query<{ moment: string }>("SELECT clock_timestamp()::text AS moment");
      const moment = now.rows[0]?.moment ?? "";
      // All this is after the moment, and is to be gone.
      await tenant.admin.query("DELETE FROM prompts WHERE title < 'prompt 5'");
      run.wake();
      await run.ended();
      await tenant.admin.end();
      await cluster.recoverTo(moment);
      tenant = await DrillTenant.open(source.tenant, source.database, stage.migrationsFolder);
      const found = await tenant.admin.query<{ phase: string; ranges: string }>(
        "SELECT phase, (SELECT count(*) FROM rc.range) AS ranges FROM rc.mirror",
      );
      const [middle] = found.rows;
      if (middle?.phase !== "load" || Number(middle.ranges) < 1)
        throw new Error(`recovered to phase ${middle?.phase} with ${middle?.ranges} ranges, not into the middle`);
      await tenant.move("prepare", r2);
      await tenant.move("cutover", r2);
      await judge(tenant, traffic.log, "switched");
      return `recovered to ${middle.ranges} copied ranges`;
    } finally {
      await tenant?.close().catch(() => undefined);
      process.env["RC_TEST_POSTGRES_URL"] = before.server;
      process.env["DRL_POSTGRES_URL"] = before.drill;
      await cluster.stop();
    }
  },
};
