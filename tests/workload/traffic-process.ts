// Entry of the traffic generator as a process of its own:
//   node tests/workload/traffic-process.ts --gateway URL --tenants a,b --log FILE --seed 1 --rate 40 [--workers 4]
//     [--tenants-file FILE] [--corpus FILE]
// SIGTERM or SIGINT: finish the operations at hand, write the summary as the last line of the log, exit 0.
import { readFileSync, statSync } from "node:fs";
import { parseArgs } from "node:util";
import { isTenantId } from "./tenant-id.ts";
import { sentencesOf } from "./traffic-text.ts";
import { Traffic } from "./traffic.ts";

const { values } = parseArgs({
  options: {
    gateway: { type: "string" },
    tenants: { type: "string", default: "" },
    "tenants-file": { type: "string" },
    log: { type: "string" },
    seed: { type: "string", default: "1" },
    rate: { type: "string", default: "40" },
    workers: { type: "string", default: "4" },
    corpus: { type: "string" },
  },
});
const named = tenantsOf(values.tenants);
const tenantsFile = values["tenants-file"];
const faults: string[] = [];
if (values.gateway === undefined) faults.push("--gateway is missing: the URL that stands before the fleets");
if (values.log === undefined) faults.push("--log is missing: the file to append to");
if (!Number.isInteger(Number(values.seed))) faults.push(`--seed is ${values.seed}: allowed are integers`);
if (named.length === 0 && tenantsFile === undefined) faults.push("--tenants and --tenants-file are both missing");
if (faults.length > 0) {
  process.stderr.write(`${faults.join("\n")}\n`);
  process.exit(2);
}

let fromFile: readonly string[] = [];
let changedAtMs: number | undefined;
function refresh(file: string): void {
  try {
    const { mtimeMs } = statSync(file);
    if (mtimeMs === changedAtMs) return;
    changedAtMs = mtimeMs;
    fromFile = tenantsOf(readFileSync(file, "utf8"));
  } catch (error) {
    // Not there yet, or half written: said, and looked at again when it changes; the tenants known so far go on.
    if ((error as { code?: string }).code !== "ENOENT") process.stderr.write(`${file}: ${(error as Error).message}\n`);
  }
}
if (tenantsFile !== undefined) refresh(tenantsFile);
const refreshing = tenantsFile === undefined ? undefined : setInterval(refresh, 200, tenantsFile);

const traffic = new Traffic({
  gateway: (values.gateway as string).replace(/\/$/, ""),
  tenants: () => [...new Set([...named, ...fromFile])],
  logFile: values.log as string,
  seed: Number(values.seed),
  ratePerS: Number(values.rate),
  workers: Number(values.workers),
  corpus: values.corpus === undefined ? [] : sentencesOf(readFileSync(values.corpus, "utf8")),
});
let stopping: Promise<void> | undefined;
const stop = (): void => {
  stopping ??= traffic.stop().then((counted) => {
    clearInterval(refreshing);
    process.stdout.write(`${JSON.stringify({ run: traffic.run, ...counted })}\n`, () => process.exit(0));
  });
};
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
traffic.start();
process.stdout.write(`${JSON.stringify({ run: traffic.run, pid: process.pid })}\n`);
await traffic.stopped();

/** Tenants by comma, white space or line. @throws Error naming one that cannot be */
function tenantsOf(text: string): string[] {
  const ids = text.split(/[\s,]+/).filter((id) => id !== "");
  const wrong = ids.find((id) => !isTenantId(id));
  if (wrong === undefined) return ids;
  throw new Error(`tenant ${wrong.slice(0, 60)} is no tenant id: allowed is [a-z][a-z0-9-]{1,40}`);
}
