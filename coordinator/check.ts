import type { Command } from "commander";
import { getRelease } from "../releases/catalog.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { pinOf } from "../releases/pin.ts";
import type { Release } from "../releases/release.ts";
import { explainVerdict } from "../releases/verdict.ts";
import { openRegistry, readFacts } from "./environment-facts.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import { openEvidenceOf } from "./evidence/open-evidence.ts";
import { driftGate } from "./gate/drift-gate.ts";
import { explainGate, verdictOfGates } from "./gate/gate.ts";
import type { Gate } from "./gate/gate.ts";
import { judgeGates } from "./gate/judge-gates.ts";
import { worst } from "./outcome.ts";
import type { Report } from "./outcome.ts";
import { openStack, openStackFile, projectFolder, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { judgePromotion } from "./release-judgement.ts";
import { runCommand } from "./terminal.ts";

export function registerCheck(program: Command, surroundings: Surroundings): void {
  withCommonOptions(
    program
      .command("check <release>")
      .description("may this environment be promoted to a release, and what is in the way"),
  )
    .addHelpText(
      "after",
      "\nLooks at every blocker that a machine can look at. Reads only.\n\nExample:\n  coordinator check r2 --env prod",
    )
    .action(async (release: string, options: CommonOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => check(release, options, surroundings)));
    });
}

export async function check(wanted: string, options: CommonOptions, surroundings: Surroundings): Promise<Report> {
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const to = getRelease(wanted);
  const registry = openRegistry(environment);
  try {
    const facts = await readFacts(environment, registry);
    const waves = environment.waves.map(({ name }) => name);
    const { moving, verdict, blockers, gates: ruled } = await judgePromotion(environment, to, waves, facts);
    const gates =
      moving.length === 0
        ? []
        : [...ruled, ...(await otherGates(environment, to, moving, facts, options, surroundings))];
    const subject = `${pinOf(to)} in ${environment.name}`;
    const text =
      moving.length === 0
        ? `${subject}: every wave pins it already`
        : [explainVerdict(subject, verdict), "gates:", ...gates.map((each) => `  ${explainGate(each)}`)].join("\n");
    const outcome = worst([verdict.outcome, verdictOfGates(gates).outcome]);
    return { outcome, text, data: { release: pinOf(to), moving, ...verdict, outcome, blockers, gates } };
  } finally {
    await registry.close();
  }
}

/** A check goes on without the evidence: then what stands on it is named as out of reach. */
async function otherGates(
  environment: Environment,
  to: Release,
  moving: readonly string[],
  facts: EnvironmentFacts,
  options: CommonOptions,
  surroundings: Surroundings,
): Promise<Gate[]> {
  const evidence = await openEvidenceOf(options, surroundings).catch(() => undefined);
  const project = await projectFolder(surroundings.folder);
  const gates = await judgeGates({ environment, to, moving, facts, evidence, project, now: new Date() });
  await evidence?.close();
  const drifted =
    environment.drift === "ignore" ? [] : await driftGate(environment, await openStack(options, surroundings));
  return [...gates, ...drifted];
}
