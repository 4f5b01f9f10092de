import { join } from "node:path";
import { parseArgs } from "node:util";
import { repositoryFolder } from "../../local/folders.ts";
import { mochaGlobalSetup, mochaGlobalTeardown } from "../servers.ts";
import { BaseTenants } from "./base-tenants.ts";
import { allDrills } from "./all-drills.ts";
import { OwnServers } from "./own-servers.ts";
import { runDrill } from "./run-drill.ts";
import { Stage } from "./stage.ts";

// npm run drill -- NAME --seed S [--cases N | --only K]. Starts its own PostgreSQL and Vault unless RC_TEST_* name some;
// a drill that stops servers always starts its own.
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: "string" }, cases: { type: "string" }, only: { type: "string" } },
});
const [name = ""] = positionals;
const drill = allDrills.find((one) => one.name === name);
if (drill === undefined || positionals.length !== 1) {
  console.error(`usage: npm run drill -- NAME [--seed S] [--cases N | --only K]; NAME is one of:`);
  for (const one of allDrills) console.error(`  ${one.name.padEnd(12)} ${one.about}`);
  process.exit(1);
}
const seed = wholeNumber("seed", 0) ?? Math.floor(Math.random() * 1_000_000);
const [cases, only] = [wholeNumber("cases", 1), wholeNumber("only", 1)];

let servers: OwnServers | undefined;
let base: BaseTenants | undefined;
let exitCode = 1;
let lastLine = "0 passed, 1 failed";
try {
  if (drill.hasOwnServers) servers = await OwnServers.start();
  await mochaGlobalSetup();
  console.log(`drill ${drill.name}, seed ${seed}`);
  base = await BaseTenants.make();
  const stage = new Stage(base, join(repositoryFolder, "migrations"), servers);
  const outcome = await runDrill(drill, stage, {
    seed,
    ...(cases === undefined ? {} : { cases }),
    ...(only === undefined ? {} : { only }),
    print: (line) => console.log(line),
  });
  lastLine = `${outcome.passed} passed, ${outcome.failed} failed`;
  // A drill that ran nothing has proven nothing.
  exitCode = outcome.failed === 0 && outcome.passed > 0 ? 0 : 1;
} catch (error) {
  console.error(error instanceof RangeError ? error.message : (error as Error).stack);
} finally {
  await drill.close?.().catch((error: unknown) => console.error(error));
  await base?.drop().catch((error: unknown) => console.error(error));
  await mochaGlobalTeardown();
  await servers?.end();
}
console.log(lastLine);
process.exit(exitCode);

function wholeNumber(option: "seed" | "cases" | "only", least: number): number | undefined {
  const text = values[option];
  if (text === undefined) return undefined;
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= least) return number;
  console.error(`--${option} ${text}: allowed are whole numbers from ${least}`);
  process.exit(1);
}
