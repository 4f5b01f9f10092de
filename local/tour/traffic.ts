import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { appendFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { checkLog } from "../../tests/workload/oracle.ts";
import { summary } from "../../tests/workload/traffic.ts";
import { seedTenantIds } from "./stack-file.ts";
import type { StepReport, TourContext } from "./step.ts";

const script = "tests/workload/traffic-process.ts";

export const trafficLog = (context: TourContext): string => join(context.home, "tour", "traffic.ndjson");
const tenantsFile = (context: TourContext): string => join(context.home, "tour", "traffic-tenants");
const pidFile = (context: Pick<TourContext, "home">): string => join(context.home, "tour", "traffic.pid");

/** Starts the generator unless it runs; a killed one goes on in the same log. */
export async function ensureTraffic(context: TourContext): Promise<void> {
  if (findTraffic(context) !== undefined) return;
  if (!existsSync(tenantsFile(context)))
    await writeFile(tenantsFile(context), (await seedTenantIds(context)).join("\n"));
  const log = openSync(join(context.home, "log", "traffic.log"), "a");
  const args = ["--gateway", context.environment["RC_GATEWAY_URL"] ?? "", "--tenants-file", tenantsFile(context)];
  const child = spawn("node", [script, ...args, "--log", trafficLog(context), "--seed", "1", "--rate", "40"], {
    cwd: context.repository,
    env: context.environment,
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  child.unref();
  await writeFile(pidFile(context), String(child.pid));
}

/** Lets one more tenant take part. */
export async function addTrafficTenant(context: TourContext, tenant: string): Promise<void> {
  const present = (await readFile(tenantsFile(context), "utf8")).split("\n");
  if (!present.includes(tenant)) await appendFile(tenantsFile(context), `\n${tenant}`);
}

/** Ends the generator after the operation at hand. */
export async function stopTraffic(context: Pick<TourContext, "home">): Promise<void> {
  const pid = findTraffic(context);
  if (pid !== undefined) process.kill(pid, "SIGTERM");
  for (let tries = 0; tries < 400 && findTraffic(context) !== undefined; tries++) await sleep(100);
  if (findTraffic(context) !== undefined)
    throw new Error(`traffic generator ${pid} does not stop; its log: ${context.home}/log/traffic.log`);
  await rm(pidFile(context), { force: true });
}

/** Waits until so many more operations were acknowledged. @throws when two minutes bring none */
export async function waitForOperations(context: TourContext, more: number): Promise<void> {
  await ensureTraffic(context);
  const goal = (await acknowledged(context)) + more;
  let [last, stalls] = [0, 0];
  while (last < goal) {
    await sleep(500);
    const now = await acknowledged(context);
    stalls = now === last ? stalls + 1 : 0;
    if (stalls > 240)
      throw new Error(
        `no operation was acknowledged for two minutes; see ${context.home}/log/traffic.log and the gateway's log`,
      );
    last = now;
  }
}

/** Stops the generator, replays its log against the databases, and reports; the generator goes on afterwards. */
export async function checkTraffic(context: TourContext, report: StepReport, when: string): Promise<void> {
  await stopTraffic(context);
  const counted = summary(trafficLog(context));
  const found = await checkLog({
    logFile: trafficLog(context),
    postgresUrl: context.environment["RC_POSTGRES_URL"] ?? "",
    environment: "dev",
    vaultAddress: context.environment["RC_VAULT_ADDR"] ?? "",
    vaultToken: context.environment["RC_VAULT_TOKEN"] ?? "",
    python: context.environment["RC_PYTHON"] ?? "python3",
  });
  report.count("operationsAcknowledged", counted.ok);
  report.count("operationsUnknown", counted.unknown);
  report.count("operationsFenced", counted.fenced);
  report.check(
    counted.failed === 0,
    `${when}: no request failed but for the fence's own 503 (${counted.fenced} fenced and retried)${counted.failed === 0 ? "" : `; not so: ${counted.failures.slice(0, 5).join("; ")}`}`,
  );
  const lost = [...found.missing, ...found.wrong, ...found.surplus].slice(0, 5);
  report.check(
    found.checked > 0 && lost.length === 0,
    `${when}: every acknowledged write is there exactly once (${found.checked} records checked)${lost.length === 0 ? "" : `; not so: ${JSON.stringify(lost)}`}`,
  );
}

async function acknowledged(context: TourContext): Promise<number> {
  return existsSync(trafficLog(context)) ? summary(trafficLog(context)).ok : 0;
}

/** Pid of the generator, if it lives and is ours. */
function findTraffic(context: Pick<TourContext, "home">): number | undefined {
  try {
    const pid = Number(readFileSync(pidFile(context), "utf8"));
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(script) ? pid : undefined;
  } catch {
    return undefined;
  }
}
