import type { Command } from "commander";
import { getRelease } from "../releases/catalog.ts";
import { parseEnvironment } from "../releases/environment.ts";
import { pinOf } from "../releases/pin.ts";
import { approvalDigest } from "./approval/reviewed-change.ts";
import { mirrorStates, openRegistry, readFacts } from "./environment-facts.ts";
import { readLedgers } from "./exact-facts.ts";
import { findProgramCommit } from "./git.ts";
import { lastPins } from "./history/pinned-state.ts";
import type { Report } from "./outcome.ts";
import { openStack, openStackFile, projectFolder, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { explainReleaseDiff, movesOf } from "./release-diff.ts";
import { gatherReport } from "./report/gather-report.ts";
import { reportOf } from "./report.ts";
import { partsToAdd } from "./release-judgement.ts";
import { planMove } from "./stack-move.ts";
import type { ResourceChange } from "./stack-events.ts";
import { runCommand } from "./terminal.ts";
import { explainWayBack, waysBack } from "./way-back.ts";

interface DiffOptions extends CommonOptions {
  readonly exact?: boolean;
  readonly preview: boolean;
  readonly markdown?: boolean;
}

export function registerDiff(program: Command, surroundings: Surroundings): void {
  withCommonOptions(program.command("diff [release]").description("what an update would change, and can I go back"))
    .option("--exact", "visit every tenant's ledger instead of reading the projection")
    .option("--no-preview", "leave out the resources")
    .option("--markdown", "print it as the comment of a pull request (coordinator report), also when the preview fails")
    .addHelpText(
      "after",
      `
Without a release: what the stack file pins against what ran last. With one: as if every wave were promoted to it.
Changes nothing: neither file, nor stack, nor data.

Examples:
  coordinator diff --env prod
  coordinator diff r2 --env prod --exact`,
    )
    .action(async (release: string | undefined, options: DiffOptions) => {
      const { terminal, exit } = surroundings;
      const { env, configFile, exact } = options;
      const show = async () =>
        options.markdown
          ? reportOf([await gatherReport({ env, configFile, ...(exact ? { exact } : {}), release }, surroundings)])
          : showDiff(release, options, surroundings);
      exit(await runCommand(terminal, options.json ?? false, show));
    });
}

export async function showDiff(
  wanted: string | undefined,
  options: DiffOptions,
  surroundings: Surroundings,
): Promise<Report> {
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const stack = await openStack(options, surroundings);
  const registry = openRegistry(environment);
  try {
    const projected = await readFacts(environment, registry);
    const facts = options.exact ? await readLedgers(environment, projected) : projected;
    const from = lastPins((await stack.history()).entries, environment.name);
    if (wanted !== undefined) {
      const to = getRelease(wanted);
      for (const part of partsToAdd(environment, to)) file.addPresent(part);
      for (const [wave, { now }] of Object.entries(file.pins())) {
        if (now !== pinOf(to)) file.setPins(wave, { now: pinOf(to), back: now });
      }
    }
    const moves = movesOf(from, file.pins());
    const positions = mirrorStates(facts);
    const run = options.preview ? (await planMove(stack, file)).run : undefined;
    const commit = await findProgramCommit(await projectFolder(surroundings.folder));
    const changes = run?.events.changes;
    const digest = changes && approvalDigest({ from, file, changes, positions, commit });
    const ways = waysBack(file.pins(), facts);
    const text = [
      ...moves.map(({ waves, diff }) => `${waves.join(", ")}: ${explainReleaseDiff(diff)}`),
      ...(moves.length === 0 ? ["releases: no wave changes its pin"] : []),
      "positions:",
      ...positions.map(
        ({ mirror, position, tenants, rows, dirty }) =>
          `  ${mirror} ${position}: ${tenants} tenants, ${rows} rows, ${dirty} to drain`,
      ),
      ...(positions.length === 0 ? ["  no mirror has begun"] : []),
      ...(changes === undefined
        ? []
        : ["resources:", ...resourceLines(changes), ...(run?.events.notes ?? []).map((note) => `  ${note}`)]),
      ...(digest === undefined ? [] : [`approval digest: ${digest}`]),
      "can I go back, once this has run?",
      ...ways.map((way) => `  ${explainWayBack(way)}`),
    ].join("\n");
    const data = {
      environment: environment.name,
      from,
      to: file.pins(),
      releases: moves,
      positions,
      resources: changes ?? null,
      notes: run?.events.notes ?? [],
      digest: digest ?? null,
      waysBack: ways,
      isExact: options.exact ?? false,
    };
    return { outcome: "go", text, data };
  } finally {
    await registry.close();
  }
}

function resourceLines(changes: readonly ResourceChange[]): string[] {
  if (changes.length === 0) return ["  no resource changes"];
  const shown = changes
    .slice(0, 60)
    .map(
      ({ op, type, name, diffs }) =>
        `  ${op.padEnd(8)} ${type} ${name}${diffs.length === 0 ? "" : ` (${diffs.slice(0, 6).join(", ")})`}`,
    );
  return changes.length > 60 ? [...shown, `  and ${changes.length - 60} more`] : shown;
}
