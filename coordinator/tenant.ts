import type { Command } from "commander";
import { onboardTenants } from "../migrations/onboarding.ts";
import { findResidencyFault } from "../migrations/registry/residency.ts";
import { findWave } from "../migrations/registry/selector.ts";
import { getPinned } from "../releases/catalog.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { parsePin } from "../releases/pin.ts";
import { rolloutOf } from "../releases/rollout.ts";
import { releaseTarget } from "../releases/target.ts";
import { openRegistry, readFacts } from "./environment-facts.ts";
import { recordAct } from "./evidence/record-act.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { regionTargets } from "./region-targets.ts";
import { runCommand } from "./terminal.ts";

interface OnboardOptions extends CommonOptions {
  readonly tags?: readonly string[];
  readonly region?: string;
}

export function registerTenant(program: Command, surroundings: Surroundings): void {
  const tenant = program.command("tenant").description("tenants of a running environment");
  withCommonOptions(
    tenant.command("onboard <ids...>").description("make tenants that can be served, at the release of their wave"),
  )
    .option("--tags <tags...>", "tags that selectors of waves look at")
    .option("--region <name>", "home of the tenants (default: the first region)")
    .addHelpText(
      "after",
      "\nSafe to repeat: what is there stays as it is, what was left half made is finished.\n\nExample:\n  coordinator tenant onboard acme --env prod --tags canary",
    )
    .action(async (ids: string[], options: OnboardOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => onboard(ids, options, surroundings)));
    });
}

/** @throws for ids that are not allowed, all at once, before anything is made */
export async function onboard(
  ids: readonly string[],
  options: OnboardOptions,
  surroundings: Surroundings,
): Promise<Report> {
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const targets = regionTargets(environment);
  const region = options.region === undefined ? targets[0] : targets.find(({ name }) => name === options.region);
  if (region === undefined) {
    throw new Error(
      `region ${options.region} is not in ${file.path}; allowed: ${targets.map(({ name }) => name).join(", ")}`,
    );
  }
  const tags = options.tags ?? [];
  const misplaced = ids.flatMap((id) => findResidencyFault(environment.residency, { id, tags }, region.name) ?? []);
  if (misplaced.length > 0)
    throw new Error(
      `nothing was onboarded: ${misplaced.join("; ")}; choose with --region, or correct residency in ${file.path}`,
    );
  await refuseStrangers(ids, region.name, environment, file.path);
  const groups = new Map<string, string[]>();
  for (const id of ids) {
    const wave = findWave(environment.waves, { id, tags: [...tags], isProbe: false, status: "active" });
    if (wave === undefined) {
      throw new Error(
        `tenant ${id} with tags [${tags.join(", ")}] falls into no wave of ${file.path}; add a tag, or a wave with rest: true`,
      );
    }
    groups.set(wave.name, [...(groups.get(wave.name) ?? []), id]);
  }
  const releaseRoles = rolloutOf(environment).targets.map(({ role }) => role);
  const results = [];
  for (const [wave, members] of groups) {
    const pin = environment.pins[wave]?.now ?? "";
    const release = releaseTarget(getPinned(parsePin(pin)));
    surroundings.terminal.stderr(`onboarding ${members.join(", ")} in wave ${wave} at ${pin} ...\n`);
    const tenants = members.map((id) => ({ id, tags }));
    const done = await onboardTenants({ environment: environment.name, region, release, tenants, releaseRoles });
    results.push(...done.map((result) => ({ ...result, wave, pin })));
  }
  const text = results
    .map(
      ({ tenant, status, wave, pin, reason }) =>
        `${tenant}: ${status}${reason === undefined ? ` (wave ${wave}, ${pin})` : `: ${reason}`}`,
    )
    .join("\n");
  const notes = results.map(({ tenant, status, wave, pin }) => `${tenant}: ${status} (wave ${wave}, ${pin})`);
  const hasFailed = results.some(({ status }) => status === "failed");
  await recordAct(environment, { act: "onboarding", notes, outcome: hasFailed ? "error" : "go" }, surroundings);
  return {
    outcome: hasFailed ? "error" : "go",
    text,
    data: { environment: environment.name, region: region.name, tenants: results },
  };
}

/** A tenant lives in one region: its routes, its keys and the waves are told apart by its id alone. */
async function refuseStrangers(
  ids: readonly string[],
  region: string,
  environment: Environment,
  path: string,
): Promise<void> {
  if (environment.regions.length === 1) return;
  const home = openRegistry(environment, { isReadOnly: true });
  try {
    const { waves, suspended, onboarding, unmatched } = await readFacts(environment, home);
    const tenants = [...[...waves.values()].flat(), ...suspended, ...onboarding, ...unmatched];
    const elsewhere = tenants.filter((tenant) => ids.includes(tenant.id) && tenant.region !== region);
    if (elsewhere.length === 0) return;
    const names = elsewhere.map((tenant) => `${tenant.id} lives in region ${tenant.region}`);
    throw new Error(
      `nothing was onboarded: ${names.join("; ")}, not in ${region} of ${path}; leave it out, or choose another id`,
    );
  } finally {
    await home.close();
  }
}
