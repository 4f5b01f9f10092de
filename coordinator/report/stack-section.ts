import { rollbackBudgetMinutes } from "../../releases/rules.ts";
import type { Outcome } from "../outcome.ts";
import type { Gate } from "../gate/gate.ts";
import { duration } from "../way-back.ts";
import { code, fenced, inline } from "./markdown-text.ts";
import type { Approval, ReportedChange, StackReport } from "./stack-report.ts";

/** How much of what is there is shown. */
export interface Room {
  /** Property diffs longer than this are left out, bytes. */
  readonly diffBytes: number;
  /** Resources shown in a fold. */
  readonly resources: number;
  /** Entries of a list outside of the folds. */
  readonly items: number;
  /** Characters of one entry. */
  readonly characters: number;
  /** Environments shown with more than their line of the summary. */
  readonly stacks: number;
}

export const outcomeWords: Readonly<Record<Outcome, string>> = {
  go: "may go",
  error: "**error**",
  "no-go": "**no-go**",
  "needs-human": "**needs a human or time**",
};

/** What the comment says of one environment. What must be read stands outside of the folds. */
export function stackSection(report: StackReport, room: Room): string[] {
  const { environment, outcome, unseen, moves, risks, gates, remarks, releaseNotes, digest, approval } = report;
  const text = (each: string) => inline(each, room.characters);
  const lines = [`### ${inline(environment, 40)}: ${outcomeWords[outcome]}`, ""];
  if (moves.length === 0) lines.push(pinLine(report), "");
  for (const move of moves.slice(0, room.items)) {
    const { fromPin, toPin } = move;
    lines.push(`${names(move.waves)}: ${fromPin ? code(fromPin, 60) : "nothing"} → ${code(toPin, 60)}`, "");
    lines.push(...list(releaseLines(move.diff), room, (each) => each), "");
  }
  if (unseen.length > 0)
    lines.push("**Not seen**", "", ...list(unseen, room, ({ what, why }) => `${text(what)}: ${text(why)}`), "");
  lines.push("**Data**", "", ...dataLines(report, room), "");
  lines.push("**Can I go back, once this has run?**", "", ...wayBackLines(report, room), "");
  const shut = gates.filter((each) => each.outcome !== "go");
  if (shut.length > 0)
    lines.push("**Gates that are not open**", "", ...list(shut, room, (each) => gateLine(each, room)), "");
  const grave = risks.filter(({ kind }) => kind !== "migration");
  if (grave.length > 0) lines.push("**Risks**", "", ...list(grave, room, (risk) => text(risk.text)), "");
  if (digest !== null) lines.push(approvalLine(digest, approval), "");
  lines.push(...fold("Release notes", releaseNotes, room), ...fold("What the rules looked at", remarks, room));
  const open = gates.filter((each) => each.outcome === "go").map(({ title, evidence }) => `${title}: ${evidence}`);
  lines.push(...fold("Gates that are open", open, room), ...resourceFold(report, room));
  return lines;
}

function gateLine({ id, outcome, evidence, eligibleAt }: Gate, { characters }: Room): string {
  const from = eligibleAt === null ? "" : ` (from ${inline(eligibleAt, 40)} on)`;
  return `${code(id, 60)} ${outcomeWords[outcome]}: ${inline(evidence, characters)}${from}`;
}

function approvalLine(digest: string, approval: Approval | null): string {
  const head = `Approval digest ${code(digest, 80)}`;
  if (approval === null) return head;
  if (approval.minimum === 0) return `${head}; nobody is asked to approve it here.`;
  const roles = approval.roles.map((role) => inline(role, 60)).join(", ");
  const quorum = `asks for ${approval.minimum} approvals${roles === "" ? "" : ` (${roles})`}`;
  return `${head} ${quorum}: ${code(approval.command, 300)}`;
}

function pinLine({ pins, unseen }: StackReport): string {
  const now = [...new Set(Object.values(pins).map((pin) => pin.now))];
  if (now.length === 0) return "What it pins could not be read.";
  const known = unseen.some(({ what }) => what === "the stack" || what === "the history");
  return `Pins ${now.map((pin) => code(pin, 60)).join(", ")}; ${known ? "what ran last is not known" : "no wave changes its pin"}.`;
}

function releaseLines({ services, schema, flags, mirrors }: StackReport["moves"][number]["diff"]): string[] {
  const version = (value: string | null) => (value === null ? "absent" : code(value, 60));
  return [
    ...services.map(({ name, from, to }) => `service ${code(name, 60)} ${version(from)} → ${version(to)}`),
    ...(schema.from === schema.expandTo
      ? []
      : [
          `schema ${version(schema.from)} → ${code(schema.expandTo, 60)} (contract to ${code(schema.contractTo, 60)} at finalize)`,
        ]),
    ...flags.map(({ key, to }) => `flag ${code(key, 60)} ${to ? "off → on" : "on → off"}`),
    ...mirrors.map(
      ({ mirror, to }) => `data ${code(mirror, 60)}: authority moves to the ${to === "sink" ? "sink" : "source"}`,
    ),
  ];
}

/** True when nobody could read where the tenants' data stands. */
export function isBlind({ unseen }: StackReport): boolean {
  return unseen.some(({ what }) => ["the registry", "rows to migrate"].includes(what));
}

function dataLines(report: StackReport, room: Room): string[] {
  const { positions, migrations } = report;
  const at = list(
    positions,
    room,
    ({ mirror, position, tenants, rows, dirty }) =>
      `now: ${code(mirror, 60)} is ${inline(position, 20)} for ${tenants} tenants, ${rows} rows, ${dirty} to drain`,
  );
  const moving = migrations.flatMap(({ wave, pin, tenants, moving: count, dirty, mirrors }) => [
    ...(count > 0 ? [`${names([wave])}: ${count} of ${tenants} tenants move to ${code(pin, 60)}`] : []),
    ...mirrors
      .filter(({ step, isFinalized }) => step !== "nothing" || isFinalized)
      .map(({ mirror, step, tenants: owners, rows, bytes, diskBytes, seconds, rateFrom, isFinalized }) => {
        const time = seconds === null ? "nobody measured how long" : `about ${duration(seconds)}`;
        const rate =
          rateFrom === "sampled" ? ", estimated from a sample" : rateFrom === "measured" ? ", at measured rates" : "";
        const act =
          step === "build"
            ? `copies ${rows} rows (${mebibytes(bytes)}) in ${owners} tenants, ${time}${rate}; ${mebibytes(diskBytes)} of disk`
            : step === "follow"
              ? `drains ${dirty} captured changes in ${owners} tenants`
              : `stays`;
        return `${names([wave])}: ${code(mirror, 60)} ${act}${isFinalized ? "; **finalize: the point of no instant return**" : ""}`;
      }),
  ]);
  const lines = [...list(moving, room, (each) => each), ...at];
  if (isBlind(report)) return ["Not known: the tenants' data could not be read."];
  return lines.length === 0 ? ["No data moves."] : moving.length === 0 ? ["No data moves.", "", ...lines] : lines;
}

function wayBackLines(report: StackReport, room: Room): string[] {
  const { waysBack, migrations } = report;
  if (waysBack.length === 0) return ["Not known: the stack file could not be read."];
  const unread = isBlind(report);
  const lines = list(waysBack, room, (way) => {
    const { wave, from, to, outcome, seconds, secondsAfterFinalize, asOf, reasons } = way;
    const head = `${names([wave])}: ${code(from, 60)}`;
    const why = reasons.slice(0, 5).map((reason) => `\n  - ${inline(reason, room.characters)}`);
    if (to === undefined || to === null) return `${head}: no way back${why.join("")}`;
    if (unread) return `${head} to ${code(to, 60)}: not known, the tenants' data could not be read`;
    const time =
      seconds === undefined || seconds === null
        ? "nobody measured how long"
        : `about ${duration(seconds)} for the data`;
    const answer =
      outcome === "go" ? `yes, ${time}` : outcome === "no-go" ? "**no**" : `if somebody decides so, ${time}`;
    const isFinal = migrations.some(
      (each) => each.wave === wave && each.mirrors.some(({ isFinalized }) => isFinalized),
    );
    const after =
      secondsAfterFinalize === undefined || secondsAfterFinalize === null
        ? "a rebuild, nobody measured how long"
        : `a rebuild, about ${duration(secondsAfterFinalize)} of the promised ${rollbackBudgetMinutes} min`;
    const moves =
      secondsAfterFinalize !== seconds || secondsAfterFinalize === undefined || secondsAfterFinalize === null;
    const until = isFinal
      ? "; this update finalizes, so it is a rebuild already"
      : !moves || outcome === "no-go"
        ? ""
        : `; until this wave is finalized, then ${after}`;
    const reading = asOf === undefined || asOf === null ? "" : ` (as of ${inline(new Date(asOf).toISOString())})`;
    return `${head} to ${code(to, 60)}: ${answer}${until}${reading}${why.join("")}`;
  });
  return lines;
}

function resourceFold({ changes, counts }: StackReport, room: Room): string[] {
  if (changes === null || counts === null) return ["The resources were not seen.", ""];
  if (changes.length === 0) return ["No resource changes.", ""];
  const shown = changes.slice(0, room.resources);
  const body = shown.flatMap((change) => {
    const diff = diffLines(change);
    const hidden =
      bytesOf(diff) > room.diffBytes ? ` (${change.properties.length} properties, too long for a comment)` : "";
    const head = `${(signs[change.op] ?? "~").padEnd(2)} ${change.type} ${change.name}${hidden}`;
    return hidden === "" && diff !== "" ? [head, diff] : [head];
  });
  const rest = changes.length - shown.length;
  const { create, update, replace, delete: gone } = counts;
  return [
    `<details><summary>${changes.length} resources: ${create} created, ${update} updated, ${replace} replaced, ${gone} deleted</summary>`,
    "",
    ...(body.length > 0 ? [fenced(body.join("\n"))] : []),
    ...(rest > 0 ? ["", `${rest} more.`] : []),
    "",
    "</details>",
    "",
  ];
}

const signs: Readonly<Record<string, string>> = { create: "+", import: "+", delete: "-", replace: "±" };

/** The property diffs of one resource, a line each. */
export function diffLines({ properties }: ReportedChange): string {
  return properties
    .map(({ path, from, to, forcesReplacement }) => {
      const value =
        from === undefined || from === null
          ? `→ ${to}`
          : to === undefined || to === null
            ? `${from} →`
            : `${from} → ${to}`;
      return `     ${path}: ${value}${forcesReplacement ? "  (replaces)" : ""}`;
    })
    .join("\n");
}

function fold(title: string, entries: readonly string[], room: Room): string[] {
  if (entries.length === 0) return [];
  return [
    `<details><summary>${title} (${entries.length})</summary>`,
    "",
    ...list(entries, room, (each) => inline(each, room.characters)),
    "",
    "</details>",
    "",
  ];
}

/** Entries as a list that ends with how many are not shown. */
export function list<T>(entries: readonly T[], { items }: Room, line: (entry: T) => string): string[] {
  const shown = entries.slice(0, items).map((entry) => `- ${line(entry)}`);
  return entries.length > items ? [...shown, `- and ${entries.length - items} more`] : shown;
}

function names(waves: readonly string[]): string {
  const shown = waves.slice(0, 10).map((wave) => inline(wave, 60));
  return `**${shown.join(", ")}${waves.length > 10 ? ` and ${waves.length - 10} more` : ""}**`;
}

function mebibytes(bytes: number): string {
  return bytes < 1_048_576 ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.round(bytes / 1_048_576)} MiB`;
}

export function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}
