import { Argument } from "commander";
import type { Command } from "commander";
import { setMaintenance } from "../migrations/control.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Report } from "./outcome.ts";
import { environmentName, openStackFile, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { regionTargets } from "./region-targets.ts";
import { runCommand } from "./terminal.ts";

interface MaintenanceOptions extends Omit<CommonOptions, "env"> {
  readonly tenant?: readonly string[];
  readonly wave?: string;
}

export function registerMaintenance(program: Command, surroundings: Surroundings): void {
  withCommonOptions(
    program.command("maintenance").description("take tenants out of service (503 with Retry-After), or back"),
    "argument",
  )
    .argument("<environment>", "dev, staging, prod", environmentName)
    .addArgument(new Argument("<state>", "on: out of service; off: back").choices(["on", "off"]))
    .option("--tenant <ids...>", "only these tenants (default: all)")
    .option("--wave <name>", "only the tenants of this wave")
    .addHelpText(
      "after",
      "\nTenants in maintenance keep route and data; waves leave them alone until they are back.\n\nExample:\n  coordinator maintenance prod on --tenant acme",
    )
    .action(async (env: string, state: "on" | "off", options: MaintenanceOptions) => {
      const { terminal, exit } = surroundings;
      exit(
        await runCommand(terminal, options.json ?? false, () => maintain(env, state === "on", options, surroundings)),
      );
    });
}

/** @throws naming tenants or waves that are unknown, or still being onboarded */
export async function maintain(
  env: string,
  isOn: boolean,
  options: MaintenanceOptions,
  surroundings: Surroundings,
): Promise<Report> {
  const file = await openStackFile({ ...options, env }, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const wave = options.wave === undefined ? undefined : { waves: environment.waves, name: options.wave };
  const changed: string[] = [];
  for (const region of regionTargets(environment)) {
    changed.push(...(await setMaintenance({ region, tenants: options.tenant, wave }, isOn)));
  }
  const state = isOn ? "in maintenance" : "back in service";
  const text =
    changed.length === 0 ? `nothing to change: they are ${state} already` : `${state}: ${changed.join(", ")}`;
  return { outcome: "go", text, data: { environment: environment.name, isOn, changed } };
}
