import { mkdtemp, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import { getVault } from "../servers.ts";
import {
  Canary,
  expectNothing,
  expectSomething,
  findIn,
  findInFiles,
  keyNeedles,
  markNeedle,
  type Needle,
} from "./canary.ts";
import type { Drill, DrillCase } from "./drill.ts";
import { type DrillTenant, environment } from "./drill-tenant.ts";
import { leakedByUpdates } from "./leak-updates.ts";
import type { Stage } from "./stage.ts";

/** What is clear for a while, and what is clear nowhere; see docs/what-stays-clear.md. */
export const leak: Drill = {
  name: "leak",
  about: "planted prompts and the tenant's keys are searched in files, logs, state, outputs and ledger after retire",
  cases: () => [heap, statistics, ledger, serverLog, vaultLog, remains, ...leakedByUpdates],
};

/** Heap, TOAST and index files of the tenant's database: full before retire, empty of it afterwards. */
const heap: DrillCase = {
  title: "heap, TOAST and index files of the tenant's database",
  async run(stage) {
    const { canary, tenant } = await planted(stage);
    const files = await databaseFolder(tenant);
    await tenant.admin.query("CHECKPOINT");
    expectSomething(await findInFiles(files, [markNeedle(canary)]), "the files of the source");
    await toTheEnd(tenant);
    await tenant.admin.query("VACUUM FULL pg_statistic; ");
    await tenant.admin.query("CHECKPOINT");
    expectNothing(await findInFiles(files, [markNeedle(canary), ...(await keyNeedles(tenant))]));
  },
};

/** ANALYZE keeps samples of bodies; the drop deletes their rows, and the bytes go when the catalog is rewritten. */
const statistics: DrillCase = {
  title: "samples of bodies in pg_statistic, and how they go",
  async run(stage) {
    const { canary, tenant } = await planted(stage);
    const samples = () =>
      tenant.admin.query(
        "SELECT FROM pg_stats WHERE most_common_vals::text LIKE $1 OR histogram_bounds::text LIKE $1",
        [`%${canary.mark}%`],
      );
    if ((await samples()).rowCount === 0) throw new Error("ANALYZE has kept no sample: this proves nothing");
    await toTheEnd(tenant);
    if ((await samples()).rowCount !== 0) throw new Error("pg_stats still shows samples of dropped tables");
    await tenant.admin.query("VACUUM FULL pg_statistic");
    await tenant.admin.query("CHECKPOINT");
    expectNothing(await findInFiles(await databaseFolder(tenant), [markNeedle(canary)]));
  },
};

/** Every row of every table of schema rc, as text: journal, ranges, keysets, notes. */
const ledger: DrillCase = {
  title: "the ledger, row by row, at every position",
  async run(stage) {
    const { canary, tenant } = await planted(stage);
    const look = async () => {
      const text = await ledgerText(tenant);
      expectSomething(
        findIn("the ledger", text, [{ what: "", bytes: Buffer.from("prompt-encryption") }]),
        "the ledger",
      );
      expectNothing(findIn("the ledger", text, [markNeedle(canary), ...(await keyNeedles(tenant))]));
    };
    await tenant.move("prepare", r2);
    await tenant.admin.query("UPDATE prompt_bodies SET body = body || ' again'");
    await look(); // with captured changes
    await tenant.move("cutover", r2);
    await look();
    await tenant.move("finalize", r2);
    await tenant.contract();
    await look();
  },
};

/** Statements that fail in the middle of a row, on the server and in the engine's report. */
const serverLog: DrillCase = {
  title: "PostgreSQL's log and the engine's report of a row that cannot be written",
  async run(stage) {
    const { canary, tenant } = await planted(stage);
    for (const kind of ["prepare", "cutover"] as const) await tenant.move(kind, r2);
    const found = await tenant.admin.query<{ id: string }>(
      "SELECT prompt_id::text AS id FROM prompt_bodies_sealed LIMIT 1",
    );
    const id = found.rows[0]?.id ?? "";
    // Text may not hold NUL: the drain back meets an error whose context quotes the row.
    const sealed = await tenant.seal("prompt", id, `${canary.mark} \0 ${canary.mark}`);
    await tenant.admin.query("UPDATE prompt_bodies_sealed SET body = $2 WHERE prompt_id = $1", [id, sealed]);
    const result = await tenant.start("prepare", r1).ended();
    if (result?.status !== "failed") throw new Error(`the run ended ${result?.status}, it should have failed`);
    const needles = [markNeedle(canary), ...(await keyNeedles(tenant))];
    expectNothing(findIn("the engine's report", JSON.stringify(result), needles));
    await tenant.admin.query("SELECT planted FROM nowhere").catch(() => {});
    const log = await readFile(await serverLogFile(tenant));
    expectSomething(
      findIn("", log, [{ what: "", bytes: Buffer.from('relation "nowhere" does not exist') }]),
      "the log",
    );
    expectNothing(findIn("PostgreSQL's log", log, needles));
    return `the engine said: ${result.reason}`;
  },
};

/** Keys and rows travel to Vault's transit engine and back: its audit log may hold digests of them, never them. */
const vaultLog: DrillCase = {
  title: "Vault's audit log of a whole way there and back",
  async run(stage) {
    const folder = await mkdtemp(join(tmpdir(), "release-coordinator-audit-"));
    const path = join(folder, "audit.log");
    await vault("PUT", "sys/audit/drl-leak", { type: "file", options: { file_path: path } });
    try {
      const { canary, tenant } = await planted(stage, false);
      for (const release of [r2, r1])
        for (const kind of ["prepare", "cutover"] as const) await tenant.move(kind, release);
      const log = await readFile(path);
      expectSomething(findIn("", log, [{ what: "", bytes: Buffer.from(`transit-${environment}/`) }]), "the audit log");
      const [token, ...keys] = await keyNeedles(tenant);
      expectNothing(findIn("Vault's audit log", log, [markNeedle(canary), token as Needle, ...keys]));
    } finally {
      await vault("DELETE", "sys/audit/drl-leak");
      await rm(folder, { recursive: true, force: true });
    }
  },
};

/** What is documented to stay, stays: were it gone, the document would be wrong. */
const remains: DrillCase = {
  title: "what remains until it expires: the write-ahead log, and dead rows before VACUUM",
  async run(stage) {
    const { canary, tenant } = await planted(stage);
    const needle = [markNeedle(canary)];
    const found = await tenant.admin.query<{ folder: string }>(
      "SELECT current_setting('data_directory') || '/pg_wal' AS folder",
    );
    await tenant.admin.query("DELETE FROM prompts WHERE title = 'planted'");
    await tenant.admin.query("CHECKPOINT");
    expectSomething(await findInFiles(await databaseFolder(tenant), needle), "dead rows before VACUUM");
    await toTheEnd(tenant);
    await tenant.admin.query("CHECKPOINT");
    expectSomething(await findInFiles(found.rows[0]?.folder ?? "", needle), "the write-ahead log");
  },
};

/** A tenant of R1 with planted prompts. @param isStored false: under way to nothing yet, large bodies left out */
async function planted(stage: Stage, isLarge = true): Promise<{ canary: Canary; tenant: DrillTenant }> {
  const canary = new Canary();
  const tenant = await stage.tenant("off");
  await canary.plant(tenant, isLarge ? 20 : 3);
  return { canary, tenant };
}

/** All the way to `retired`, written to on the way, and the contract revision. */
async function toTheEnd(tenant: DrillTenant): Promise<void> {
  await tenant.move("prepare", r2);
  await tenant.admin.query("UPDATE prompt_bodies SET body = body || ' again'");
  await tenant.move("cutover", r2);
  await tenant.move("finalize", r2);
  await tenant.contract();
}

async function databaseFolder(tenant: DrillTenant): Promise<string> {
  const found = await tenant.admin.query<{ folder: string }>(
    `SELECT current_setting('data_directory') || '/base/' || oid AS folder FROM pg_database WHERE datname = current_database()`,
  );
  return found.rows[0]?.folder ?? "";
}

/** The file behind the server's standard error, wherever it was started to. */
async function serverLogFile(tenant: DrillTenant): Promise<string> {
  const found = await tenant.admin.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  return readlink(`/proc/${found.rows[0]?.pid}/fd/2`);
}

async function ledgerText(tenant: DrillTenant): Promise<string> {
  const tables = await tenant.admin.query<{ name: string }>(
    "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'rc' ORDER BY 1",
  );
  const texts: string[] = [];
  for (const { name } of tables.rows) {
    const found = await tenant.admin.query<{ row: string }>(`SELECT t::text AS row FROM ${name} AS t`);
    texts.push(name, ...found.rows.map(({ row }) => row));
  }
  return texts.join("\n");
}

async function vault(method: string, path: string, body?: object): Promise<void> {
  const { address, token } = getVault();
  const answer = await fetch(`${address}/v1/${path}`, {
    method,
    headers: { "X-Vault-Token": token },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`Vault answered ${answer.status} to ${method} ${path}: ${await answer.text()}`);
}
