import { Argument } from "commander";
import type { Command } from "commander";
import { setMaintenance } from "../migrations/control.ts";
import { parseEnvironment } from "../releases/environment.ts";
import { chooseTenants } from "./chosen-tenants.ts";
import { recordAct } from "./evidence/record-act.ts";
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

/**
 * Every region is asked who is meant before any of them is changed.
 * @throws naming tenants or waves that are unknown, or still being onboarded; nothing is changed then. A region that fails
 *   afterwards is named with whom the regions before it changed
 */
export async function maintain(
  env: string,
  isOn: boolean,
  options: MaintenanceOptions,
  surroundings: Surroundings,
): Promise<Report> {
  const file = await openStackFile({ ...options, env }, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const chosen = await chooseTenants(environment, options);
  const state = isOn ? "in maintenance" : "back in service";
  const changed: string[] = [];
  for (const region of regionTargets(environment)) {
    const tenants = chosen.filter((one) => one.region.name === region.name).map(({ tenant }) => tenant.id);
    if (tenants.length === 0) continue;
    try {
      changed.push(...(await setMaintenance({ region, tenants }, isOn)));
    } catch (error) {
      if (changed.length > 0) {
        const notes = [`${state}: ${changed.join(", ")}`, `region ${region.name} failed`];
        await recordAct(environment, { act: "maintenance", notes, outcome: "error" }, surroundings);
      }
      const before =
        changed.length === 0 ? "nobody was changed before it" : `${state} before it: ${changed.join(", ")}`;
      throw new Error(`region ${region.name}: ${(error as Error).message}; ${before}; run the command again`, {
        cause: error,
      });
    }
  }
  const notes = [`${state}: ${changed.join(", ")}`];
  if (changed.length > 0) await recordAct(environment, { act: "maintenance", notes }, surroundings);
  const text =
    changed.length === 0 ? `nothing to change: they are ${state} already` : `${state}: ${changed.join(", ")}`;
  return { outcome: "go", text, data: { environment: environment.name, isOn, changed } };
}
