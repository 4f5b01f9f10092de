import pg from "pg";
import type { Position } from "../../migrations/ledger/position.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import { databaseUrl, roleUrl } from "../servers.ts";
import type { Drill, DrillCase } from "./drill.ts";
import type { DrillTenant } from "./drill-tenant.ts";
import type { EngineProcess } from "./engine-process.ts";
import { judge } from "./judge.ts";
import { Traffic } from "./traffic.ts";

type Role = "platform_r1" | "platform_r2";

/** What a late service tries first: read, list, write. */
const attempts = [
  "SELECT title FROM prompts LIMIT 1",
  "SELECT body FROM prompt_bodies LIMIT 1",
  "SELECT body FROM prompt_bodies_sealed LIMIT 1",
  "INSERT INTO prompts (id, title) VALUES (gen_random_uuid(), 'late')",
  "UPDATE prompts SET title = 'late'",
  "UPDATE message_bodies SET body = 'late'",
  "DELETE FROM prompts",
  "TRUNCATE prompts CASCADE",
  "SELECT encrypted FROM rc.keyset",
  "UPDATE rc.whereabouts SET release = 'r1'",
  "UPDATE rc.mirror SET position = 'off'",
];

/** A service of the release that a tenant has left, or has not reached, starts at every stage of the way. */
export const fence: Drill = {
  name: "fence",
  about: "a service of the wrong release boots mid-window, after the cutover, after retire, and on the way back",
  cases: () => [
    boot("r1 after the cutover, in the window", "mirroring", "platform_r1", "r2", async (tenant) => {
      await tenant.move("prepare", r2);
      await tenant.move("cutover", r2);
      return "switched";
    }),
    boot("r1 after retire, its tables gone", "switched", "platform_r1", "r2", async (tenant) => {
      await tenant.move("finalize", r2);
      await tenant.contract();
      return "retired";
    }),
    openBefore("r1 with a transaction that began before the cutover"),
    boot("r2 before its cutover, while the copy is built", "off", "platform_r2", "r1", async (tenant) => {
      await tenant.move("prepare", r2);
      return "mirroring";
    }),
    boot("r2 after the rollback", "switched", "platform_r2", "r1", async (tenant) => {
      await tenant.move("prepare", r1);
      await tenant.move("cutover", r1);
      return "mirroring";
    }),
    boot("r1 while a cutover stands between flip and commit", "mirroring", "platform_r1", "r2", async (tenant) => {
      await tenant.kill("cutover", r2, "cutover.unlock.before");
      await tenant.move("cutover", r2);
      return "switched";
    }),
  ],
};

function boot(
  title: string,
  from: Position,
  role: Role,
  serving: string,
  move: (tenant: DrillTenant) => Promise<Position>,
): DrillCase {
  return {
    title,
    async run(stage, random) {
      const tenant = await stage.tenant(from);
      const traffic = new Traffic(tenant, stage.base, random);
      await traffic.burst(3);
      const connectedBefore = await tenant.as(role);
      const end = await move(tenant);
      await traffic.burst(3);
      for (const session of [connectedBefore, await tenant.as(role)]) await expectFence(session, serving);
      await traffic.stop();
      await judge(tenant, traffic.log, end);
    },
  };
}

/** Its write either commits before the flip and is carried over, or is refused: never lost silently. */
function openBefore(title: string): DrillCase {
  return {
    title,
    async run(stage, random) {
      const tenant = await stage.tenant("mirroring");
      const traffic = new Traffic(tenant, stage.base, random);
      await traffic.burst(3);
      const late = new pg.Client({ connectionString: roleUrl("platform_r1", databaseUrl(tenant.database)) });
      await late.connect();
      const run: EngineProcess = tenant.start("cutover", r2);
      try {
        await late.query("BEGIN");
        const id = "00000000-0000-4000-8000-00000000feed";
        await late.query("INSERT INTO prompts (id, title) VALUES ($1, 'late')", [id]);
        await late.query("INSERT INTO prompt_bodies VALUES ($1, 'written across the cutover')", [id]);
        await new Promise((resolve) => setTimeout(resolve, 800));
        await late.query("COMMIT");
        await late.query("DELETE FROM prompts WHERE id = $1", [id]).catch(() => {}); // fenced or not: either is told
        const result = await run.ended();
        if (result?.status !== "done") throw new Error(`the cutover ended ${result?.status}: ${result?.reason}`);
        await expectFence(late, "r2");
        const left = await tenant.admin.query(
          `SELECT (SELECT count(*)::int FROM prompts WHERE id = $1) AS parents,
             (SELECT count(*)::int FROM prompt_bodies_sealed WHERE prompt_id = $1) AS bodies`,
          [id],
        );
        const { parents, bodies } = left.rows[0] as { parents: number; bodies: number };
        if (parents !== bodies) throw new Error(`the late prompt has ${parents} rows and ${bodies} bodies`);
        await tenant.admin.query("DELETE FROM prompts WHERE id = $1", [id]);
      } finally {
        await late.end();
      }
      await traffic.burst(3);
      await traffic.stop();
      await judge(tenant, traffic.log, "switched");
    },
  };
}

/** Everything is refused with 42501 (42P01 once a table is gone), and the one row that says why is readable. */
async function expectFence(session: pg.Client, serving: string): Promise<void> {
  for (const sql of attempts) {
    const code = await session.query(sql).then(
      () => "success",
      (error: { code?: string }) => error.code ?? "an error without code",
    );
    if (code === "42501" || (code === "42P01" && / (prompt|message)_bodies\b/.test(sql))) continue;
    throw new Error(`"${sql}" ended with ${code} instead of 42501`);
  }
  const said = await session.query<{ release: string }>("SELECT release FROM rc.whereabouts");
  if (said.rows[0]?.release !== serving) throw new Error(`rc.whereabouts names ${said.rows[0]?.release}`);
}
