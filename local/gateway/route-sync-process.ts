import { parseArgs } from "node:util";
import { followRoutes } from "./route-sync.ts";

// `RC_POSTGRES_URL=.. node local/gateway/route-sync-process.ts --routes FILE --releases r1,r2`; ends on SIGTERM.
const { values } = parseArgs({
  options: { routes: { type: "string" }, releases: { type: "string" }, role: { type: "string", default: "rc_reader" } },
});
const postgresUrl = process.env["RC_POSTGRES_URL"];
if (postgresUrl === undefined || values.routes === undefined || values.releases === undefined) {
  throw new Error("route-sync needs RC_POSTGRES_URL, --routes FILE and --releases r1,r2; `make up` starts it so.");
}
const registryUrl = new URL(postgresUrl);
registryUrl.pathname = process.env["RC_REGISTRY_DATABASE"] ?? "/rc_registry";
// It only ever reads: the superuser's rights are put away at the door.
if (values.role !== "") registryUrl.searchParams.set("options", `-c role=${values.role}`);

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
process.once("SIGINT", () => stop.abort());
await followRoutes(
  {
    registryUrl: registryUrl.href,
    routesFile: values.routes,
    releases: values.releases.split(","),
    onEvent: (text) => process.stdout.write(`${new Date().toISOString()} ${text}\n`),
  },
  stop.signal,
);
