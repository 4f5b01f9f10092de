import type { Command } from "commander";
import { resolveReference } from "../migrations/reference.ts";
import { registryUrl } from "../migrations/registry/registry-session.ts";
import { Registry } from "../migrations/registry/registry.ts";
import { Transit } from "../migrations/vault/transit.ts";
import { parseEnvironment } from "../releases/environment.ts";
import { Keeper } from "./keeper.ts";
import { serveKeeper } from "./keeper-server.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { regionTargets } from "./region-targets.ts";
import { runCommand } from "./terminal.ts";

interface KeepOptions extends CommonOptions {
  readonly region?: string;
  readonly once?: boolean;
  readonly port?: number;
}

export function registerKeep(program: Command, surroundings: Surroundings): void {
  withCommonOptions(
    program
      .command("keep")
      .description("drain captured changes until it is told to stop: the keeper, in the foreground"),
  )
    .option("--region <name>", "region to keep (default: the first)")
    .option("--once", "one round, then end")
    .option("--port <port>", "serve /healthz and /metrics on 127.0.0.1", Number)
    .addHelpText(
      "after",
      "\nAn environment runs it as a container; by hand it helps when that one is down. Never flips, builds or drops anything.\n\nExample:\n  coordinator keep --env dev --once",
    )
    .action(async (options: KeepOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => keep(options, surroundings)));
    });
}

/** Ends with SIGTERM or Ctrl-C, within 5 s; with `--once` after one round. */
export async function keep(options: KeepOptions, { terminal, ...rest }: Surroundings): Promise<Report> {
  const file = await openStackFile(options, { terminal, ...rest });
  const environment = parseEnvironment(file.environment(), file.path);
  const targets = regionTargets(environment);
  const region = options.region === undefined ? targets[0] : targets.find(({ name }) => name === options.region);
  if (region?.vaultAddress === undefined || region.vaultToken === undefined) {
    throw new Error(
      `region ${options.region ?? region?.name} has no Vault in ${file.path} (or present.vault is false): there is nothing to keep`,
    );
  }
  const transit = new Transit({
    address: resolveReference(region.vaultAddress),
    token: resolveReference(region.vaultToken),
    mount: region.transitMount ?? `transit-${environment.name}`,
  });
  const registry = new Registry(registryUrl(resolveReference(region.postgresUrl)));
  const keeper = new Keeper({
    environment: environment.name,
    region,
    registry,
    transit,
    log: (line) => terminal.stderr(`${line}\n`),
  });
  const server = options.port === undefined ? undefined : await serveKeeper(keeper, options.port);
  const stop = new AbortController();
  const end = () => stop.abort();
  process.once("SIGTERM", end).once("SIGINT", end);
  try {
    if (options.once) await keeper.round(stop.signal);
    else await keeper.run(stop.signal);
  } finally {
    process.off("SIGTERM", end).off("SIGINT", end);
    server?.closeAllConnections();
    server?.close();
    await registry.close();
  }
  const { health } = keeper;
  const faults = Object.entries(health.faults);
  const text = [
    `${health.rounds} rounds, ${health.tenants} tenants followed, ${health.waiting} changes wait`,
    ...faults.map(([tenant, fault]) => `  - ${tenant}: ${fault}`),
  ].join("\n");
  return { outcome: faults.length > 0 ? "error" : "go", text, data: { region: region.name, ...health } };
}
