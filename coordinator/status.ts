import Table from "cli-table3";
import type { Command } from "commander";
import { allReleases, findRelease } from "../releases/catalog.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { parsePin, pinOf } from "../releases/pin.ts";
import type { Release } from "../releases/release.ts";
import { rollbackBudgetMinutes } from "../releases/rules.ts";
import { newestRelease } from "./approval/reviewed-change.ts";
import { mirrorStates, openRegistry, projectionAsOf, readFacts } from "./environment-facts.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import { openEvidenceOf } from "./evidence/open-evidence.ts";
import { explainGate, nextEligible } from "./gate/gate.ts";
import type { Gate } from "./gate/gate.ts";
import { judgeGates } from "./gate/judge-gates.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, projectFolder, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { explainWorld } from "./stack-move.ts";
import { runCommand } from "./terminal.ts";
import { seconds, watch } from "./watch.ts";
import { explainWayBack, waysBack } from "./way-back.ts";
import type { WayBack } from "./way-back.ts";

interface StatusOptions extends CommonOptions {
  readonly watch?: number | true;
}

export function registerStatus(program: Command, surroundings: Surroundings): void {
  withCommonOptions(
    program.command("status").description("where every wave is, what holds it, and whether it can go back"),
  )
    .option("--watch [seconds]", "show it again every so many seconds, until Ctrl-C (default: 5)", seconds)
    .addHelpText(
      "after",
      "\nReads the registry's projection only (see `as of`).\n\nExamples:\n  coordinator status --env prod\n  coordinator status --env prod --watch 10",
    )
    .action(async (options: StatusOptions) => {
      const { terminal, exit } = surroundings;
      const show = () => runCommand(terminal, options.json ?? false, () => showStatus(options, surroundings));
      exit(
        await (options.watch === undefined
          ? show()
          : watch(show, options.watch === true ? 5 : options.watch, terminal)),
      );
    });
}

export async function showStatus(options: CommonOptions, surroundings: Surroundings): Promise<Report> {
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const registry = openRegistry(environment);
  try {
    const facts = await readFacts(environment, registry);
    const ways = facts.hasRegistry ? waysBack(file.pins(), facts) : [];
    const next = nextRelease(environment);
    const gates = next === undefined ? [] : await gatesOfNext(environment, next, facts, options, surroundings);
    const warnings = [...holdLines(facts), ...budgetLines(ways), ...keeperLines(facts), ...plannedLines(environment)];
    const text = [
      waveTable(environment, facts),
      ...explainWorld(facts),
      ...countLines(facts),
      ...warnings,
      ...(next === undefined ? [] : nextLines(pinOf(next), gates)),
      "can I go back?",
      ...ways.map((way) => `  ${explainWayBack(way)}`),
      `as of ${projectionAsOf(facts)?.toISOString() ?? "never: the projection is empty"}`,
    ].join("\n");
    return {
      outcome: "go",
      text,
      data: {
        ...statusData(environment, facts, ways, warnings),
        next: next === undefined ? null : { release: pinOf(next), gates, eligibleAt: nextEligible(gates) ?? null },
      },
    };
  } finally {
    await registry.close();
  }
}

/** The release that follows what every wave pins or has begun; undefined: there is none. */
function nextRelease({ pins }: Environment): Release | undefined {
  const now = new Set(Object.values(pins).map((pair) => pair.now));
  const newest = newestRelease(pins);
  // A wave that is behind goes on to what the others pin.
  return now.size > 1 ? newest : allReleases().find(({ requires }) => requires.releases.includes(newest.id));
}

/** Only gates that one look at registry and evidence answers: `coordinator check` visits the tenants too. */
async function gatesOfNext(
  environment: Environment,
  to: Release,
  facts: EnvironmentFacts,
  options: CommonOptions,
  surroundings: Surroundings,
): Promise<Gate[]> {
  const moving = environment.waves.map(({ name }) => name).filter((wave) => environment.pins[wave]?.now !== pinOf(to));
  const isAsked = environment.upstream !== undefined || environment.waves.some(({ soakHours = 0 }) => soakHours > 0);
  const evidence = isAsked ? await openEvidenceOf(options, surroundings).catch(() => undefined) : undefined;
  try {
    const project = await projectFolder(surroundings.folder);
    return await judgeGates({ environment, to, moving, facts, evidence, project, now: new Date() });
  } finally {
    await evidence?.close();
  }
}

function nextLines(pin: string, gates: readonly Gate[]): string[] {
  const shut = gates.filter(({ outcome }) => outcome !== "go");
  const from = nextEligible(gates);
  const when =
    shut.length === 0
      ? "no gate of time and people is shut"
      : from === undefined
        ? ""
        : `not before ${from.toISOString()}`;
  return [`next: ${pin}${when === "" ? "" : `, ${when}`}`, ...shut.map((each) => `  ${explainGate(each)}`)];
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
