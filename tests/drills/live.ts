import { setTimeout as sleep } from "node:timers/promises";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import type { Drill, DrillCase } from "./drill.ts";
import type { DrillTenant } from "./drill-tenant.ts";
import { judge } from "./judge.ts";
import { bodyDigest } from "./operation-log.ts";
import { Traffic } from "./traffic.ts";
import { untilBlocked } from "./until-blocked.ts";

/** Writes at the moments at which an engine of this kind loses them. */
export const live: Drill = {
  name: "traffic",
  about: "slow commits, hot rows, bare key changes and writes behind the copy's back, at the moments that hurt",
  cases: () => [slowCommit, lastMoment, stalled, keyOnly, beyondTheFrontier, hotRow, longOpen, allOut],
};

const hot = { kind: "prompt", id: "a5ae5a6b-0000-4000-8000-000000000001" } as const;

/** A lower number in the capture commits after a higher one was read: it may not go with it. */
const slowCommit: DrillCase = {
  title: "a change that was captured first commits last, in the middle of a drain",
  async run(stage, random) {
    const tenant = await stage.tenant("mirroring");
    const traffic = new Traffic(tenant, stage.base, random);
    const [slow, quick] = await twoPrompts(tenant, traffic);
    const session = await tenant.as("platform_r1");
    await session.query("BEGIN");
    await session.query("UPDATE prompt_bodies SET body = 'slow' WHERE prompt_id = $1", [slow]);
    await (
      await tenant.as("platform_r1")
    ).query("UPDATE prompt_bodies SET body = 'quick' WHERE prompt_id = $1", [quick]);
    // Holds the drain between reading its batch and deleting it.
    await tenant.admin.query("BEGIN");
    await tenant.admin.query("SELECT FROM prompt_bodies_sealed WHERE prompt_id = $1 FOR UPDATE", [quick]);
    const run = tenant.start("prepare", r2);
    await untilBlocked(tenant);
    await session.query("COMMIT");
    await tenant.admin.query("COMMIT");
    const result = await run.ended();
    if (result?.status !== "done") throw new Error(`prepare ended ${result?.status}: ${result?.reason}`);
    traffic.log.begin("prompt", slow, bodyDigest("slow"));
    traffic.log.begin("prompt", quick, bodyDigest("quick"));
    await tenant.move("cutover", r2);
    await traffic.burst(2);
    await traffic.stop();
    await judge(tenant, traffic.log, "switched");
  },
};

/** Everything was drained; then, before the lock, users write again. */
const lastMoment: DrillCase = {
  title: "writes between the last drain and the lock of the cutover, both ways",
  async run(stage, random) {
    const tenant = await stage.tenant("mirroring");
    const traffic = new Traffic(tenant, stage.base, random);
    for (const release of [r2, r1]) {
      await tenant.move("prepare", release);
      const run = tenant.start("cutover", release, { at: "cutover.lock.before", signal: "SIGSTOP" });
      await run.stopped();
      await traffic.burst(12);
      run.wake();
      const result = await run.ended();
      if (result?.status !== "done") throw new Error(`cutover ended ${result?.status}: ${result?.reason}`);
    }
    await traffic.stop();
    await judge(tenant, traffic.log, "mirroring");
  },
};

/** The server ends the transaction and the session; writers go on; the cutover tries again and nothing is half done. */
const stalled: DrillCase = {
  title: "an engine that stalls while it holds the lock of the cutover",
  async run(stage, random) {
    const tenant = await stage.tenant("mirroring");
    const traffic = new Traffic(tenant, stage.base, random);
    const run = tenant.start("cutover", r2, { at: "cutover.flip", signal: "SIGSTOP" });
    await run.stopped();
    await traffic.burst(6); // waits until the server has ended the transaction
    run.wake();
    const result = await run.ended();
    if (result?.status !== "done") throw new Error(`cutover ended ${result?.status}: ${result?.reason}`);
    await traffic.burst(2);
    await traffic.stop();
    await judge(tenant, traffic.log, "switched");
  },
};

/** The payload stays, only the key changes: a trigger on the payload's column would not see it. */
const keyOnly: DrillCase = {
  title: "bodies that change their key and nothing else",
  async run(stage, random) {
    const tenant = await stage.tenant("mirroring");
    const traffic = new Traffic(tenant, stage.base, random);
    const session = await tenant.as("platform_r1");
    const found = await session.query<{ id: string }>(
      "SELECT prompt_id::text AS id FROM prompt_bodies ORDER BY 1 LIMIT 5",
    );
    for (const [nth, { id }] of found.rows.entries()) {
      const to = `00000000-0000-4000-8000-00000000000${nth}`;
      const [digest] = traffic.log.mayBe(`prompt ${id}`) as Iterable<string>;
      await session.query("INSERT INTO prompts (id, title) VALUES ($1, 'moved')", [to]);
      await session.query("UPDATE prompt_bodies SET prompt_id = $2 WHERE prompt_id = $1", [id, to]);
      traffic.log.add({ verb: "move", kind: "prompt", id, to, ...(digest === undefined ? {} : { digest }) }, "ok");
    }
    await tenant.move("prepare", r2);
    await tenant.move("cutover", r2);
    await judge(tenant, traffic.log, "switched");
  },
};

/** A run that has copied one chunk drains after five seconds: keys above the copied ranges have to wait. */
const beyondTheFrontier: DrillCase = {
  title: "changes of keys that are not copied yet, while the copy drains",
  async run(stage, random) {
    const tenant = await stage.tenant("off");
    const traffic = new Traffic(tenant, stage.base, random);
    const run = tenant.start("prepare", r2, { at: "chunk.commit.after", signal: "SIGSTOP" });
    await run.stopped();
    await traffic.burst(40);
    await sleep(5_100);
    run.wake();
    const result = await run.ended();
    if (result?.status !== "done") throw new Error(`prepare ended ${result?.status}: ${result?.reason}`);
    await tenant.move("cutover", r2);
    await traffic.stop();
    await judge(tenant, traffic.log, "switched");
  },
};

const hotRow: DrillCase = {
  title: "one row that is written all the time, there and back",
  async run(stage, random) {
    const tenant = await stage.tenant("off");
    const traffic = new Traffic(tenant, stage.base, random, 1);
    await tenant.admin.query("INSERT INTO prompts (id, title) VALUES ($1, 'hot')", [hot.id]);
    await tenant.admin.query("INSERT INTO prompt_bodies VALUES ($1, 'hot')", [hot.id]);
    let last = "hot";
    let isOver = false;
    const hammer = (async () => {
      const sessions = { r1: await tenant.as("platform_r1"), r2: await tenant.as("platform_r2") };
      let release: "r1" | "r2" = "r1";
      for (let nth = 0; !isOver; nth += 1) {
        const body = `hot ${nth}`;
        try {
          if (release === "r1") {
            await sessions.r1.query("UPDATE prompt_bodies SET body = $2 WHERE prompt_id = $1", [hot.id, body]);
          } else {
            const sealed = await tenant.seal("prompt", hot.id, body);
            await sessions.r2.query("UPDATE prompt_bodies_sealed SET body = $2 WHERE prompt_id = $1", [hot.id, sealed]);
          }
          last = body;
        } catch (error) {
          if ((error as { code?: string }).code !== "42501") throw error;
          release = release === "r1" ? "r2" : "r1";
        }
      }
    })();
    hammer.catch(() => {}); // reported below
    try {
      for (const release of [r2, r1]) {
        await tenant.move("prepare", release);
        await tenant.move("cutover", release);
        await sleep(100);
      }
    } finally {
      isOver = true;
      await hammer;
    }
    traffic.log.begin(hot.kind, hot.id, bodyDigest(last));
    await traffic.burst(2);
    await traffic.stop();
    await judge(tenant, traffic.log, "mirroring");
  },
};

/** While it is open no cutover may be; nothing else waits for it. */
const longOpen: DrillCase = {
  title: "a transaction that stays open from before the copy until after a cutover gave up",
  async run(stage, random) {
    const tenant = await stage.tenant("off");
    const traffic = new Traffic(tenant, stage.base, random);
    const [id] = await twoPrompts(tenant, traffic);
    await tenant.move("prepare", r2);
    const session = await tenant.as("platform_r1");
    await session.query("BEGIN");
    await session.query("UPDATE prompt_bodies SET body = 'long open' WHERE prompt_id = $1", [id]);
    const refused = await tenant.start("cutover", r2).ended();
    if (
      refused?.status !== "failed" ||
      !/in the way: pid \d+ \(platform_r1, idle in transaction/.test(refused.reason ?? "")
    ) {
      throw new Error(
        `the cutover ended ${refused?.status}: ${refused?.reason}; it has to name the session in the way`,
      );
    }
    await traffic.burst(3);
    await session.query("COMMIT");
    traffic.log.begin("prompt", id, bodyDigest("long open"));
    await tenant.move("cutover", r2);
    await traffic.stop();
    await judge(tenant, traffic.log, "switched");
  },
};

const allOut: DrillCase = {
  title: "writers without a pause through all positions and back",
  async run(stage, random) {
    const tenant = await stage.tenant("off");
    const traffic = new Traffic(tenant, stage.base, random, 3);
    traffic.start(0);
    try {
      for (const release of [r2, r1]) {
        if (release === r1) await tenant.undoContract();
        for (const kind of ["prepare", "cutover", "finalize"] as const) await tenant.move(kind, release);
        await tenant.contract();
      }
    } finally {
      await traffic.stop();
    }
    await judge(tenant, traffic.log, "off");
  },
};

/** Two prompts of nobody's: made here, so that no writer changes them. */
async function twoPrompts(tenant: DrillTenant, traffic: Traffic): Promise<[string, string]> {
  const ids: [string, string] = ["a5ae5a6b-0000-4000-8000-00000000000a", "a5ae5a6b-0000-4000-8000-00000000000b"];
  for (const id of ids) {
    await tenant.admin.query("INSERT INTO prompts (id, title) VALUES ($1, 'drill')", [id]);
    await tenant.admin.query("INSERT INTO prompt_bodies VALUES ($1, $2)", [id, `first ${id}`]);
    traffic.log.begin("prompt", id, bodyDigest(`first ${id}`));
  }
  if ((await tenant.position()) === "mirroring") await tenant.move("prepare", r2);
  return ids;
}
