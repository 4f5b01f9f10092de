// One smoke test in a container: its questions come from the environment (components/smoke-job.ts), its answer is the exit code.
import { smokeNode } from "../migrations/nodes/smoke-node.ts";
import type { SmokeInputs } from "../migrations/smoke.ts";

const questions = process.env["SMOKE"];
if (!questions) throw new Error("the smoke test needs the environment variable SMOKE; components/smoke-job.ts sets it");
try {
  const { summary } = await smokeNode.run(JSON.parse(questions) as SmokeInputs);
  process.stdout.write(`${summary}\n`);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
