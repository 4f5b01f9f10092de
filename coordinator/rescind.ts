import type { Command } from "commander";
import { findRelease } from "../releases/catalog.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { parsePin, pinOf } from "../releases/pin.ts";
import { openRegistry, readFacts } from "./environment-facts.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import { recordAct } from "./evidence/record-act.ts";
import { operatorName } from "./operator.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { refuseAbsentRegistry } from "./registry-absence.ts";
import { runCommand } from "./terminal.ts";

interface RescindOptions extends CommonOptions {
  readonly why: string;
}

export function registerRescind(program: Command, surroundings: Surroundings): void {
  withCommonOptions(program.command("rescind <pin>").description("forbid one content of a release for ever"))
    .requiredOption("--why <text>", "what is wrong with it; everybody who is refused reads it")
    .addHelpText(
      "after",
      `
No update, no promotion and no rollback goes there any more, in any environment of this registry, by plain
pulumi up neither. It moves nobody: where it runs now, go back or forward yourself. There is no way to take it
back; a corrected release gets a new id.

Example:
  coordinator rescind r2@4f1c9e2a0b11 --env prod --why "seals with the wrong key class"`,
    )
    .action(async (pin: string, options: RescindOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => rescind(pin, options, surroundings)));
    });
}

/** @throws for what is no pin, naming the catalog's pin when only an id was given */
export async function rescind(wanted: string, options: RescindOptions, surroundings: Surroundings): Promise<Report> {
  const pin = fullPin(wanted);
  const why = options.why.trim();
  if (why === "") throw new Error(`--why is blank; say what is wrong with ${wanted}, it is kept for ever`);
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const registry = openRegistry(environment);
  try {
    const facts = await readFacts(environment, registry);
    refuseAbsentRegistry(facts, environment);
    await registry.records.rescind({ hash: parsePin(pin).hash, who: operatorName(), why });
    const found = await registry.records.findRescinded(parsePin(pin).hash);
    const before = facts.rescinded.get(parsePin(pin).hash);
    if (before === undefined)
      await recordAct(environment, { act: "rescission", notes: [`${pin} is rescinded: ${why}`] }, surroundings);
    const consequences = consequencesOf(pin, environment, facts, options.env);
    const head =
      before === undefined ? `${pin} is rescinded: ${why}` : `${pin} was rescinded before: ${before}; that stands`;
    return {
      outcome: "go",
      text: [head, ...consequences.map((line) => `  - ${line}`)].join("\n"),
      data: { pin, isNew: before === undefined, rescinded: found, consequences },
    };
  } finally {
    await registry.close();
  }
}

/** Where it runs or is kept for the way back: a rescinded pin is refused there from the next update on. */
function consequencesOf(pin: string, { pins, name }: Environment, facts: EnvironmentFacts, env: string): string[] {
  const waves = Object.entries(pins);
  const running = waves.filter(([, { now }]) => now === pin).map(([wave]) => wave);
  const kept = waves.filter(([, { back }]) => back === pin).map(([wave]) => wave);
  const routed = [...facts.waves.values()].flat().filter((tenant) => tenant.pin === pin).length;
  return [
    ...(running.length === 0
      ? []
      : [
          `${name} pins it for ${running.join(", ")}, and every update there is refused from now on; leave it: ` +
            `coordinator rollback ${env} --reason "rescinded"`,
        ]),
    ...(routed === 0 ? [] : [`${routed} tenants are still served by it`]),
    ...(kept.length === 0 ? [] : [`the way back of ${kept.join(", ")} leads there and is closed now`]),
  ];
}

/** A release id alone is not enough: what is forbidden is one content, and the catalog's may not be the bad one. */
function fullPin(wanted: string): string {
  const release = findRelease(wanted);
  if (release !== undefined) {
    throw new Error(
      `${wanted} names a release, not one content of it; this checkout holds ${pinOf(release)}, coordinator status shows what runs`,
    );
  }
  parsePin(wanted);
  return wanted;
}
