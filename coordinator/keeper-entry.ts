// The keeper of a container: settings come from its environment (components/keeper.ts), nothing from a checkout.
import { registryUrl } from "../migrations/registry/registry-session.ts";
import { Registry } from "../migrations/registry/registry.ts";
import { Transit } from "../migrations/vault/transit.ts";
import { Keeper } from "./keeper.ts";
import { serveKeeper } from "./keeper-server.ts";

function setting(name: string): string {
  const value = process.env[name];
  if (value) return value;
  throw new Error(`the keeper needs the environment variable ${name}; components/keeper.ts sets it: pulumi up`);
}

const log = (line: string) => void process.stdout.write(`${new Date().toISOString()} ${line}\n`);
const environment = setting("ENVIRONMENT");
const postgresUrl = setting("POSTGRES_URL");
const transit = new Transit({
  address: setting("VAULT_ADDR"),
  appRole: { roleId: setting("VAULT_ROLE_ID"), secretId: setting("VAULT_SECRET_ID") },
  mount: setting("TRANSIT_MOUNT"),
});
const registry = new Registry(registryUrl(postgresUrl));
const region = { name: setting("REGION"), postgresUrl: "env:POSTGRES_URL" };
const keeper = new Keeper({ environment, region, registry, transit, log });
const server = await serveKeeper(keeper, Number(setting("PORT")), process.env["HOST"]);
log(`keeping ${environment}, region ${region.name}`);

const stop = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    stop.abort();
    // A batch under way ends in half a second; a server that hangs must not keep us longer than a container waits.
    setTimeout(() => process.exit(0), 4500).unref();
  });
}
await keeper.run(stop.signal);
server.closeAllConnections();
server.close();
await registry.close();
log("stopped");
