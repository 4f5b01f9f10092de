import type { TenantJob } from "../../migrations/mirror/job.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import { type BadTable, badTables } from "./bad-tables.ts";
import type { Drill, DrillCase } from "./drill.ts";
import { assertClosed } from "./expect-closed.ts";
import { judge } from "./judge.ts";
import { ledgerFaults } from "./ledger-check.ts";
import { bodyDigest } from "./operation-log.ts";
import { assertNoFaults } from "./oracle.ts";
import { Traffic } from "./traffic.ts";

/** Odd tables, odd values and bad settings: migrated exactly, or refused with tenant, place and mend. */
export const badInput: Drill = {
  name: "bad-input",
  about: "odd tables, odd values and bad settings: moved exactly, or refused before anything is changed",
  cases: () => {
    const others = [...oddValues.map(exactCase), ...badJobs.map(refusedJob), captured];
    return badTables.map(refusedTable).flatMap((one, nth) => [one, ...others.slice(nth, nth + 1)]);
  },
};

function refusedTable({ title, sql, mend, reason }: BadTable): DrillCase {
  return {
    title: `refuses ${title}, and moves the tenant once it is mended`,
    async run(stage, random) {
      const tenant = await stage.tenant("off");
      const traffic = new Traffic(tenant, stage.base, random);
      await tenant.admin.query(
        `SET ROLE rc_migrator; ${sql.includes("OWNER") ? "RESET ROLE;" : ""} ${sql}; RESET ROLE`,
      );
      const result = await tenant.start("prepare", r2).ended();
      assertClosed(result, reason);
      if (!result?.reason?.includes(`tenant ${tenant.tenant}`))
        throw new Error(`the tenant is not named: ${result?.reason}`);
      const left = await tenant.admin.query("SELECT FROM pg_trigger WHERE tgname LIKE 'zz_rc%'");
      if (left.rowCount !== 0) throw new Error("a refused prepare has left triggers behind");
      await tenant.admin.query(
        `SET ROLE rc_migrator; ${mend.includes("OWNER") ? "RESET ROLE;" : ""} ${mend}; RESET ROLE`,
      );
      await tenant.move("prepare", r2);
      await tenant.move("cutover", r2);
      await judge(tenant, traffic.log, "switched");
    },
  };
}

const oddValues: readonly (readonly [title: string, body: string])[] = [
  ["an empty text", ""],
  ["8 MB of text", "x".repeat(8_000_000)],
  ["emoji and the last code point", "👩‍👩‍👧‍👦 \u{10FFFF} ﷽"],
  ["control characters and COPY's own marks", "\u0001\u001f\r\n\t\\N\\.\n\\."],
  ["text that looks like a ciphertext", `\u0001\u0001\u0001\u0001\u0007${"A".repeat(60)}`],
  ["text that looks like bytea", "\\x0102"],
  ["quotes and dollar quotes", `'; DROP TABLE prompts; -- $$ $rc$ "`],
  ["text from right to left", "שלום عليكم \u202E abc"],
  ["a mebibyte that does not compress", Array.from({ length: 2 ** 15 }, (_, nth) => bodyDigest(String(nth))).join("")],
];

function exactCase([title, body]: readonly [string, string]): DrillCase {
  return {
    title: `carries ${title} there and back exactly`,
    async run(stage, random) {
      const tenant = await stage.tenant("off");
      const traffic = new Traffic(tenant, stage.base, random);
      const id = "00000000-0000-4000-8000-00000000000d";
      await tenant.admin.query("INSERT INTO prompts (id, title) VALUES ($1, 'odd')", [id]);
      await tenant.admin.query("INSERT INTO prompt_bodies VALUES ($1, $2)", [id, body]);
      traffic.log.begin("prompt", id, bodyDigest(body));
      await tenant.move("prepare", r2);
      await tenant.move("cutover", r2);
      await judge(tenant, traffic.log, "switched");
      await tenant.move("finalize", r2);
      await tenant.contract();
      await tenant.undoContract();
      await tenant.move("prepare", r1);
      await tenant.move("cutover", r1);
      await judge(tenant, traffic.log, "mirroring");
    },
  };
}

interface BadJob {
  readonly title: string;
  readonly changes: (job: TenantJob) => Partial<TenantJob>;
  readonly reason: RegExp;
  readonly status?: "partial";
}

const badJobs: readonly BadJob[] = [
  {
    title: "a region without Vault",
    changes: ({ region }) => ({ region: { name: region.name, postgresUrl: region.postgresUrl } }),
    reason: /needs Vault, region local has none/,
  },
  {
    title: "a reference to a variable that is not set",
    changes: ({ region }) => ({ region: { ...region, vaultToken: "env:DRL_NOT_SET" } }),
    reason: /DRL_NOT_SET/,
  },
  {
    title: "a credential in the place of a reference",
    changes: ({ region }) => ({ region: { ...region, vaultToken: "hvs.secret-literal" } }),
    reason: /reference|env:/,
  },
  {
    title: "a Vault that does not listen",
    changes: ({ region }) => ({ region: { ...region, vaultAddress: "env:DRL_NOWHERE" } }),
    reason: /Vault/i,
  },
  {
    title: "a transit mount that does not exist",
    changes: ({ region }) => ({ region: { ...region, transitMount: "transit-nowhere" } }),
    reason: /transit-nowhere|Vault/,
  },
  { title: "a database that does not exist", changes: () => ({ database: "drl_nowhere" }), reason: /drl_nowhere/ },
  {
    title: "a mirror that nobody knows",
    changes: ({ release }) => ({ release: { ...release, sinkMirrors: ["vector-store-2"] } }),
    reason: /vector-store-2.* is unknown/,
  },
  {
    title: "a deadline that has passed",
    changes: () => ({ deadlineMs: Date.now() - 1 }),
    reason: /time is over/,
    status: "partial",
  },
];

function refusedJob({ title, changes, reason, status }: BadJob): DrillCase {
  return {
    title: `refuses ${title}, and nothing is changed`,
    async run(stage, random) {
      const tenant = await stage.tenant("off");
      const traffic = new Traffic(tenant, stage.base, random);
      process.env["DRL_NOWHERE"] = "http://127.0.0.1:1";
      const result = await tenant.start("prepare", r2, undefined, changes(tenant.job(r2))).ended();
      if (result !== undefined && result.status === status) assertClosed({ ...result, status: "failed" }, reason);
      else assertClosed(result, reason);
      assertNoFaults("ledger", await ledgerFaults(tenant.admin, "off"));
      await judge(tenant, traffic.log, "off");
    },
  };
}

/** TRUNCATE has no rows to note: it is refused while changes are captured, also for replication roles. */
const captured: DrillCase = {
  title: "refuses TRUNCATE while changes are captured, and notes what a replication role writes",
  async run(stage, random) {
    const tenant = await stage.tenant("mirroring");
    const traffic = new Traffic(tenant, stage.base, random);
    for (const replica of ["", "SET LOCAL session_replication_role = replica;"]) {
      const refused = await tenant.admin.query(`BEGIN; ${replica} TRUNCATE public.prompt_bodies`).then(
        () => "done",
        (error: Error) => error.message,
      );
      await tenant.admin.query("ROLLBACK");
      if (!refused.includes("is refused")) throw new Error(`TRUNCATE: ${refused}`);
    }
    const [record] = traffic.log.records();
    const id = record?.split(" ")[1] ?? "";
    await tenant.admin.query(`BEGIN; SET LOCAL session_replication_role = replica;
      UPDATE public.prompt_bodies SET body = 'by replication' WHERE prompt_id = '${id}'; COMMIT`);
    traffic.log.begin("prompt", id, bodyDigest("by replication"));
    await tenant.move("prepare", r2);
    await tenant.move("cutover", r2);
    await judge(tenant, traffic.log, "switched");
  },
};
