// `npm run bench -- NAME [--json] [--rows N] [--rounds R]`: one measured ratio a file; both sides interleaved in one run,
// median of the rounds.
import { availableParallelism, loadavg } from "node:os";
import { parseArgs } from "node:util";
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
  if (load === undefined)
    throw new Error(`bench "${name}"; there are: ${Object.keys(benches).join(", ")}; npm run bench -- seal --json`);
  for (const [option, value] of Object.entries(options))
    if (value !== undefined && (!Number.isInteger(value) || value < 1))
      throw new Error(`--${option} is ${value}; allowed are whole numbers from 1`);
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

if (process.argv[1] === import.meta.filename) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      rounds: { type: "string", default: "5" },
      rows: { type: "string" },
    },
  });
  const rows = values.rows === undefined ? {} : { rows: Number(values.rows) };
  try {
    for (const line of await runBench(positionals[0] ?? "", { rounds: Number(values.rounds), ...rows })) {
      const sign = line.better === "higher" ? ">=" : "<=";
      if (values.json) console.log(JSON.stringify(line));
      else console.log(`${line.name}: ${line.ratio} (goal ${sign} ${line.goal})`, line);
    }
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
