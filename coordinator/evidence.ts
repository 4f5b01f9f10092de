import Table from "cli-table3";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { parseEnvironment } from "../releases/environment.ts";
import { reachableBackends } from "./backend/backend-files.ts";
import { openRegistry } from "./environment-facts.ts";
import { anchorsOf } from "./evidence/act-evidence.ts";
import type { Anchor } from "./evidence/evidence-chain.ts";
import { isMove } from "./evidence/evidence-entry.ts";
import type { EvidenceEntry } from "./evidence/evidence-entry.ts";
import { openEvidenceOf } from "./evidence/open-evidence.ts";
import { explainPins } from "./history/pinned-state.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { cleanLine } from "./report/markdown-text.ts";
import { runCommand } from "./terminal.ts";

interface EvidenceOptions extends CommonOptions {
  readonly since?: Date;
  readonly expect?: Anchor;
}

export function registerEvidence(program: Command, surroundings: Surroundings): void {
  withCommonOptions(
    program.command("evidence").description("who changed what, judged and approved how; and is that record whole"),
  )
    .option(
      "--since <time>",
      "only entries from then on, e.g. 2027-01-18 or 2027-01-18T09:00Z; all are checked",
      instant,
    )
    .option("--expect <sequence:link>", "the end of the chain that you wrote down last time", anchor)
    .addHelpText(
      "after",
      `
One file an entry beside the state (${reachableBackends}), each with the sha256 of the one before. An edited,
removed, inserted or moved entry, a chain cut short and a clock set back are found: exit 2. The registry's records
remember where the chain ended; --expect compares it with what you remember. Changes nothing.

Examples:
  coordinator evidence --env prod --since 2027-01-01
  coordinator evidence --env prod --json > evidence.json`,
    )
    .action(async (options: EvidenceOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => showEvidence(options, surroundings)));
    });
}

/** @throws when the backend keeps no files within reach */
export async function showEvidence(options: EvidenceOptions, surroundings: Surroundings): Promise<Report> {
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const log = await openEvidenceOf(options, surroundings);
  if (log === undefined)
    throw new Error(`evidence is kept on ${reachableBackends}; on this backend coordinator history shows what ran`);
  const unread: string[] = [];
  const known = await knownEnds(environment, unread);
  try {
    const { entries, head, faults } = await log.read([...known, ...(options.expect ? [options.expect] : [])]);
    const shown = entries.filter(({ at }) => options.since === undefined || Date.parse(at) >= options.since.getTime());
    const text = [
      shown.length === 0 ? "no entries" : tableOf(shown),
      ...(faults.length === 0
        ? [`the chain is whole: ${entries.length} entries, end ${head.sequence}:${head.link}`]
        : ["the chain is NOT whole:", ...faults.map((fault) => `  - ${cleanLine(fault)}`)]),
      ...unread,
    ].join("\n");
    const data = { environment: environment.name, entries: shown, head, faults, notes: unread };
    return { outcome: faults.length === 0 ? "go" : "no-go", text, data };
  } finally {
    await log.close();
  }
}

async function knownEnds(environment: ReturnType<typeof parseEnvironment>, unread: string[]): Promise<Anchor[]> {
  try {
    const registry = openRegistry(environment, { isReadOnly: true });
    try {
      return await anchorsOf(registry, environment.name);
    } finally {
      await registry.close();
    }
  } catch (error) {
    unread.push(`not compared with the registry: ${(error as Error).message}`);
    return [];
  }
}

function tableOf(entries: readonly EvidenceEntry[]): string {
  const table = new Table({
    head: ["#", "at", "act", "who", "from", "to", "outcome", "digest", "approved by", "what"],
    style: { head: [], border: [] },
  });
  for (const { sequence, at, act, phase, who, from, to, outcome, digest, approvals, notes } of entries)
    table.push(
      [
        sequence,
        at,
        phase === "begun" ? `${act} begins` : act,
        who,
        explainPins(from),
        explainPins(to),
        outcome ?? "-",
        digest ?? "-",
        approvals.map((each) => each.who).join(", ") || "-",
        isMove(act) ? "" : notes.join("; "),
      ].map((cell) => cleanLine(String(cell), 80)),
    );
  return table.toString();
}

function instant(value: string): Date {
  const at = new Date(value);
  if (/^\d{4}-\d{2}-\d{2}/.test(value) && !Number.isNaN(at.getTime())) return at;
  throw new InvalidArgumentError(`"${value}" is no time; allowed: 2027-01-18 or 2027-01-18T09:00Z`);
}

function anchor(value: string): Anchor {
  const [, sequence, link] = /^(\d{1,8}):([0-9a-f]{64})$/.exec(value) ?? [];
  if (sequence !== undefined && link !== undefined) return { sequence: Number(sequence), link, by: "--expect" };
  throw new InvalidArgumentError(`"${value}" is no end of a chain; allowed: what this command printed, 12:<64 digits>`);
}
