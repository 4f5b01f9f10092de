import Table from "cli-table3";
import type { Command } from "commander";
import { findRelease } from "../releases/catalog.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { parsePin } from "../releases/pin.ts";
import { rollbackBudgetMinutes } from "../releases/rules.ts";
import { mirrorStates, openRegistry, projectionAsOf, readFacts } from "./environment-facts.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { explainWorld } from "./stack-move.ts";
import { runCommand } from "./terminal.ts";
import { explainWayBack, waysBack } from "./way-back.ts";
import type { WayBack } from "./way-back.ts";

export function registerStatus(program: Command, surroundings: Surroundings): void {
  withCommonOptions(
    program.command("status").description("where every wave is, what holds it, and whether it can go back"),
  )
    .addHelpText(
      "after",
      "\nReads the registry's projection only (see `as of`).\n\nExample:\n  coordinator status --env prod",
    )
    .action(async (options: CommonOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => showStatus(options, surroundings)));
    });
}

export async function showStatus(options: CommonOptions, surroundings: Surroundings): Promise<Report> {
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const registry = openRegistry(environment);
  try {
    const facts = await readFacts(environment, registry);
    const ways = facts.hasRegistry ? waysBack(file.pins(), facts) : [];
    const warnings = [...holdLines(facts), ...budgetLines(ways), ...keeperLines(facts), ...plannedLines(environment)];
    const text = [
      waveTable(environment, facts),
      ...explainWorld(facts),
      ...countLines(facts),
      ...warnings,
      "can I go back?",
      ...ways.map((way) => `  ${explainWayBack(way)}`),
      `as of ${projectionAsOf(facts)?.toISOString() ?? "never: the projection is empty"}`,
    ].join("\n");
    return { outcome: "go", text, data: statusData(environment, facts, ways, warnings) };
  } finally {
    await registry.close();
  }
}

function waveTable({ waves, pins }: Environment, facts: EnvironmentFacts): string {
  const table = new Table({
    head: ["wave", "now", "back", "tenants", "positions", "to drain", "step"],
    style: { head: [], border: [] },
  });
  for (const { name } of waves) {
    const states = mirrorStates(facts, name);
    const steps = facts.waveSteps.filter((step) => step.wave === name && step.pin === pins[name]?.now);
    table.push([
      name,
      pins[name]?.now ?? "none",
      pins[name]?.back ?? "none",
      facts.waves.get(name)?.length ?? 0,
      states.map(({ mirror, position, tenants }) => `${mirror} ${position} (${tenants})`).join("\n") || "-",
      states.reduce((sum, { dirty }) => sum + dirty, 0),
      steps
        .map(
          ({ step, status, waitingUntil }) =>
            `${step} ${status}${waitingUntil ? ` until ${waitingUntil.toISOString()}` : ""}`,
        )
        .join("\n") || "-",
    ]);
  }
  return table.toString();
}

function holdLines({ holds }: EnvironmentFacts): string[] {
  return holds.map(({ wave, hashes, since, who, why }) => {
    const what = hashes.length === 0 ? "every release" : hashes.join(", ");
    return `held${wave === undefined ? "" : ` (wave ${wave})`}: ${what} since ${since.toISOString()} by ${who}: ${why}`;
  });
}

/** Above half of the promise the way back is said to be in danger while there is still time to do something. */
function budgetLines(ways: readonly WayBack[]): string[] {
  return ways
    .filter(({ seconds }) => seconds !== undefined && seconds > (rollbackBudgetMinutes * 60) / 2)
    .map(
      ({ wave, seconds = 0 }) =>
        `wave ${wave}: going back takes ${Math.ceil(seconds / 60)} of the promised ${rollbackBudgetMinutes} min; look at the keeper`,
    );
}

/** The keeper refreshes every mirrored tenant's row in each round: a row that is minutes old means that it does not run. */
function keeperLines(facts: EnvironmentFacts): string[] {
  const mirrored = [...facts.waves.values()]
    .flat()
    .flatMap(({ states }) => states.filter(({ position }) => position === "mirroring" || position === "switched"));
  const oldest = Math.min(...mirrored.map(({ asOf }) => asOf.getTime()));
  if (mirrored.length === 0 || facts.asOf.getTime() - oldest < silenceLimitMs) return [];
  return [
    `the keeper has told nothing of some tenants since ${new Date(oldest).toISOString()}: the way back grows longer; look at its container's log`,
  ];
}

/** Twelve rounds of the keeper. */
const silenceLimitMs = 60_000;

function plannedLines({ planned, pins }: Environment): string[] {
  const newest = Math.max(...Object.values(pins).map(({ now }) => Number.parseInt(parsePin(now).id.slice(1), 10)));
  return Object.entries(planned)
    .filter(([id]) => findRelease(id) !== undefined && Number.parseInt(id.slice(1), 10) > newest)
    .map(([id, date]) => `planned: ${id} on ${date}`);
}

function countLines({ suspended, onboarding, unmatched }: EnvironmentFacts): string[] {
  return [
    ...(suspended.length === 0 ? [] : [`in maintenance: ${names(suspended)}`]),
    ...(onboarding.length === 0 ? [] : [`being onboarded: ${names(onboarding)}`]),
    ...(unmatched.length === 0 ? [] : [`in no wave: ${names(unmatched)}; widen a selector in the stack file`]),
  ];
}

function names(tenants: readonly { readonly id: string }[]): string {
  const shown = tenants
    .slice(0, 10)
    .map(({ id }) => id)
    .join(", ");
  return tenants.length > 10 ? `${shown} and ${tenants.length - 10} more` : shown;
}

function statusData(
  environment: Environment,
  facts: EnvironmentFacts,
  ways: readonly WayBack[],
  warnings: readonly string[],
) {
  return {
    environment: environment.name,
    pins: environment.pins,
    waves: environment.waves.map(({ name }) => ({
      name,
      tenants: (facts.waves.get(name) ?? []).map(({ id, pin, status, states }) => ({ id, pin, status, states })),
      positions: mirrorStates(facts, name),
    })),
    holds: facts.holds,
    steps: facts.waveSteps,
    verified: [...facts.verified],
    rescinded: Object.fromEntries(facts.rescinded),
    waysBack: ways,
    warnings,
    asOf: projectionAsOf(facts) ?? null,
  };
}
