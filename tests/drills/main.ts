import { join } from "node:path";
import { repositoryFolder } from "../../local/folders.ts";
import { mochaGlobalSetup, mochaGlobalTeardown } from "../servers.ts";
import { BaseTenants } from "./base-tenants.ts";
import { type DrillRequest, parseDrillRequest } from "./drill-request.ts";
import { OwnServers } from "./own-servers.ts";
import { runDrill } from "./run-drill.ts";
import { Stage } from "./stage.ts";

// npm run drill -- NAME --seed S [--cases N | --only K]. Starts its own PostgreSQL and Vault unless RC_TEST_* name some;
// a drill that stops servers always starts its own.
const { drill, seed = Math.floor(Math.random() * 1_000_000), cases, only } = requested();

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

function requested(): DrillRequest {
  try {
    return parseDrillRequest(process.argv.slice(2));
  } catch (error) {
    console.error((error as Error).message);
    process.exit(2);
  }
}
