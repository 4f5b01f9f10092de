// `npm run bench -- NAME [--json] [--rows N] [--rounds R]`: one measured ratio a file; both sides interleaved in one run,
// median of the rounds.
import { availableParallelism, loadavg } from "node:os";
import { parseBenchRequest } from "./bench-request.ts";
import { type Bench, isMet, type Needs, type Ratio, rounded } from "./ratio.ts";
import { type Versions, withServers } from "./servers.ts";

/** Every bench by name. */
export const benches: Readonly<Record<string, () => Promise<{ bench: Bench; needs: Needs }>>> = {
  capture: () => import("./capture.ts"),
  cutover: () => import("./cutover.ts"),
  keeper: () => import("./keeper.ts"),
  noop: () => import("./noop.ts"),
  open: () => import("./open.ts"),
  preview: () => import("./preview.ts"),
  rollback: () => import("./rollback.ts"),
  rotate: () => import("./rotate.ts"),
  seal: () => import("./seal.ts"),
  "seal-scale": () => import("./seal-scale.ts"),
  serve: () => import("./serve.ts"),
  start: () => import("./start.ts"),
};

/** Runs a bench by name. @returns its lines, each with load, processors and versions */
export async function runBench(name: string, options: { rounds: number; rows?: number }): Promise<Ratio[]> {
  const load = benches[name];
  if (load === undefined) throw new RangeError(`bench "${name}"; there are: ${Object.keys(benches).join(", ")}`);
  const { bench, needs } = await load();
  const loadBefore = loadavg()[0] ?? 0;
  const measure = async (versions: Versions): Promise<Ratio[]> =>
    (await bench(options)).map((ratio) => ({
      ...ratio,
      met: isMet(ratio) ? "yes" : "no",
      loadBefore: rounded(loadBefore),
      loadAfter: rounded(loadavg()[0] ?? 0),
      cpus: availableParallelism(),
      at: new Date().toISOString(),
      ...versions,
    }));
  return needs === "servers" ? withServers(measure) : measure({ node: process.version });
}

async function main(): Promise<void> {
  const { name, isJson, ...options } = parseBenchRequest(process.argv.slice(2), Object.keys(benches));
  for (const line of await runBench(name, options)) {
    const sign = line.better === "higher" ? ">=" : "<=";
    if (isJson) console.log(JSON.stringify(line));
    else console.log(`${line.name}: ${line.ratio} (goal ${sign} ${line.goal})`, line);
  }
}

if (process.argv[1] === import.meta.filename)
  await main().catch((error: unknown) => {
    console.error((error as Error).message);
    // 2: nothing was begun.
    process.exitCode = error instanceof RangeError ? 2 : 1;
  });
