import type { Command } from "commander";
import type { Hold } from "../migrations/registry/holds.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { getPinned } from "../releases/catalog.ts";
import { parsePin } from "../releases/pin.ts";
import { openRegistry, readFacts } from "./environment-facts.ts";
import { recordAct } from "./evidence/record-act.ts";
import { operatorName } from "./operator.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { refuseAbsentRegistry } from "./registry-absence.ts";
import { runCommand } from "./terminal.ts";

interface HoldOptions extends CommonOptions {
  readonly why: string;
  readonly wave?: string;
  readonly pin?: readonly string[];
}

interface UnholdOptions extends CommonOptions {
  readonly wave?: string;
  readonly id?: readonly string[];
}

export function registerHold(program: Command, surroundings: Surroundings): void {
  const { terminal, exit } = surroundings;
  withCommonOptions(program.command("hold").description("freeze an environment, a wave, or forbid releases there"))
    .requiredOption("--why <text>", "why; everybody who is refused reads it")
    .option("--wave <name>", "only this wave (default: all)")
    .option("--pin <pins...>", "only these releases are forbidden (default: every update, rollbacks too)")
    .addHelpText(
      "after",
      `
A row in the registry: plain pulumi up is refused by it as well, in preview and in up. It stops no update that runs.

Examples:
  coordinator hold --env prod --why "audit until friday"
  coordinator hold --env prod --wave canary --pin r2@4f1c9e2a0b11 --why "incident 12"`,
    )
    .action(async (options: HoldOptions) => {
      exit(await runCommand(terminal, options.json ?? false, () => hold(options, surroundings)));
    });
  withCommonOptions(program.command("unhold").description("end holds"))
    .option("--wave <name>", "only holds of this wave (default: all of the environment)")
    .option("--id <ids...>", "only these, as coordinator status --json numbers them")
    .addHelpText("after", "\nWhat was held stays on record.\n\nExample:\n  coordinator unhold --env prod --wave canary")
    .action(async (options: UnholdOptions) => {
      exit(await runCommand(terminal, options.json ?? false, () => unhold(options, surroundings)));
    });
}

/** @throws naming waves that exist, or a pin that this checkout does not hold */
export async function hold(options: HoldOptions, surroundings: Surroundings): Promise<Report> {
  const why = options.why.trim();
  if (why === "") throw new Error("--why is blank; say why, it is what everybody who is refused reads");
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  requireWave(environment, options.wave);
  const pins = options.pin ?? [];
  for (const pin of pins) getPinned(parsePin(pin));
  const registry = openRegistry(environment);
  try {
    refuseAbsentRegistry(await readFacts(environment, registry), environment);
    const hashes = pins.map((pin) => parsePin(pin).hash);
    const wish = { environment: environment.name, wave: options.wave, hashes, who: operatorName(), why };
    const placed = await registry.holds.place(wish);
    await recordAct(environment, { act: "hold", notes: [explainHold(placed)] }, surroundings);
    const end = `it ends with: coordinator unhold --env ${options.env} --id ${placed.id}`;
    return { outcome: "go", text: `${explainHold(placed)}\n${end}`, data: { hold: placed } };
  } finally {
    await registry.close();
  }
}

/** @throws naming waves that exist, or ids that are in force */
export async function unhold(options: UnholdOptions, surroundings: Surroundings): Promise<Report> {
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  requireWave(environment, options.wave);
  const registry = openRegistry(environment);
  try {
    const facts = await readFacts(environment, registry);
    refuseAbsentRegistry(facts, environment);
    const known = facts.holds.map(({ id }) => id);
    const ids = options.id?.map(Number);
    const unknown = (options.id ?? []).filter((id) => !known.includes(Number(id)));
    if (unknown.length > 0) {
      const allowed = known.length === 0 ? "nothing is held" : `in force are ${known.join(", ")}`;
      throw new Error(`no hold ${unknown.join(", ")} in ${environment.name}; ${allowed}: coordinator status`);
    }
    const ended = await registry.holds.release(environment.name, { ids, wave: options.wave });
    if (ended.length > 0) await recordAct(environment, { act: "unhold", notes: ended.map(explainHold) }, surroundings);
    const text =
      ended.length === 0 ? "nothing was held" : ended.map((each) => `ended: ${explainHold(each)}`).join("\n");
    return { outcome: "go", text, data: { ended } };
  } finally {
    await registry.close();
  }
}

function requireWave({ waves, name }: Environment, wanted: string | undefined): void {
  const known = waves.map((wave) => wave.name);
  if (wanted === undefined || known.includes(wanted)) return;
  throw new Error(`${name} has no wave ${wanted}; allowed: ${known.join(", ")}`);
}

function explainHold({ id, environment, wave, hashes, since, who, why }: Hold): string {
  const where = wave === undefined ? environment : `${environment}, wave ${wave},`;
  const what = hashes.length === 0 ? "every update is refused" : `${hashes.join(", ")} is forbidden`;
  return `${where} is held (${id}): ${what} since ${since.toISOString()} (${who}: ${why})`;
}
