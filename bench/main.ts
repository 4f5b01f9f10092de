// `npm run bench -- NAME [--json]`: one measured ratio a file; both sides interleaved in one run, median of five.
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import type { Bench } from "./ratio.ts";

const benches: Readonly<Record<string, () => Promise<{ bench: Bench }>>> = {
  start: () => import("./start.ts"),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean", default: false }, rounds: { type: "string", default: "5" } },
});
const load = benches[positionals[0] ?? ""];
if (load === undefined) {
  console.error(
    `bench "${positionals[0] ?? ""}"; there are: ${Object.keys(benches).join(", ")}; npm run bench -- start --json`,
  );
  process.exit(1);
}
const { bench } = await load();
const loadBefore = loadavg()[0] ?? 0;
for (const ratio of await bench(Number(values.rounds))) {
  const line = { ...ratio, load: Math.round(loadBefore * 10) / 10, node: process.version };
  if (values.json) console.log(JSON.stringify(line));
  else
    console.log(`${ratio.name}: ${ratio.ratio} (goal ${ratio.better === "higher" ? ">=" : "<="} ${ratio.goal})`, line);
}
