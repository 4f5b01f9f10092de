import { worst } from "../outcome.ts";
import { duration } from "../way-back.ts";
import { code, inline } from "./markdown-text.ts";
import type { StackReport } from "./stack-report.ts";
import { bytesOf, diffLines, isBlind, list, outcomeWords, stackSection } from "./stack-section.ts";
import type { Room } from "./stack-section.ts";

/** First line of the comment: by it the comment of before is found and replaced. */
export const marker = "<!-- release-coordinator report -->";

/** A comment of GitHub holds 65,536 characters; this leaves room for what a workflow adds. Bytes. */
export const commentLimitBytes = 60_000;

const wide: Room = { diffBytes: Infinity, resources: 300, items: 30, characters: 600, stacks: Infinity };

/**
 * The one comment of a pull request: all environments, what stands in the way first. Always under `commentLimitBytes`: the
 * biggest diffs go first, then resources, then the ends of long lists; the summary stays. The same reports give the same text.
 */
export function renderComment(reports: readonly StackReport[]): string {
  const sorted = [...reports].sort((a, b) => (a.environment < b.environment ? -1 : 1));
  const sizes = [
    ...new Set(sorted.flatMap(({ changes }) => changes ?? []).map((change) => bytesOf(diffLines(change)))),
  ];
  const narrower: Room[] = [
    wide,
    ...sizes.sort((a, b) => b - a).map((size) => ({ ...wide, diffBytes: size - 1 })),
    ...[200, 50, 10, 0].map((resources) => ({ ...wide, diffBytes: 0, resources })),
    ...[20, 10, 3].map((items) => ({ ...wide, diffBytes: 0, resources: 0, items, characters: 200 })),
    ...[40, 10, 3, 0].map((stacks) => ({ diffBytes: 0, resources: 0, items: 3, characters: 120, stacks })),
  ];
  // What fits at one width fits at every narrower one, so the widest is found by halving.
  let [low, high] = [0, narrower.length - 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (bytesOf(comment(sorted, narrower[middle] as Room)) < commentLimitBytes) high = middle;
    else low = middle + 1;
  }
  return comment(sorted, narrower[low] as Room);
}

function comment(reports: readonly StackReport[], room: Room): string {
  const outcome = worst(reports.map((report) => report.outcome));
  const lines = [marker, `## Release report: ${outcomeWords[outcome]}`, "", ...summary(reports)];
  const blockers = reports.flatMap(({ environment, blockers: found }) => found.map((text) => ({ environment, text })));
  if (blockers.length > 0) {
    lines.push("", "### What stands in the way", "");
    lines.push(
      ...list(
        blockers,
        room,
        ({ environment, text }) => `**${inline(environment, 40)}**: ${inline(text, room.characters)}`,
      ),
    );
  }
  for (const report of reports.slice(0, room.stacks)) lines.push("", ...stackSection(report, room));
  const silent = reports.length - Math.min(reports.length, room.stacks);
  if (silent > 0)
    lines.push("", `${silent} environments do not fit in here: ${code("coordinator report --env <environment>")}`);
  if (room !== wide) lines.push("", `Cut to fit into a comment; all of it: ${code("coordinator report --json")}`);
  return `${lines
    .join("\n")
    .replaceAll(/\n{3,}/g, "\n\n")
    .trimEnd()}\n`;
}

const summaryRows = 100;

function summary(reports: readonly StackReport[]): string[] {
  const rows = reports.slice(0, summaryRows).map((report) => {
    const { environment, outcome, counts, risks } = report;
    const changes =
      counts === null ? "not seen" : `+${counts.create} ~${counts.update} ±${counts.replace} -${counts.delete}`;
    const risk = [...new Set(risks.map(({ kind }) => riskWords[kind]))].join(", ") || "none";
    return `| ${code(environment, 40)} | ${outcomeWords[outcome]} | ${changes} | ${counts === null && risks.length === 0 ? "not seen" : risk} | ${backInShort(report)} |`;
  });
  const more = reports.length - rows.length;
  return [
    "| environment | verdict | resources | risk | can I go back? |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    ...(more > 0 ? [`| and ${more} more | | | | |`] : []),
  ];
}

const riskWords = {
  stateful: "**data or keys replaced**",
  secret: "secrets",
  migration: "migration",
  "no-instant-return": "**no instant way back**",
} as const;

function backInShort(report: StackReport): string {
  const { waysBack } = report;
  if (waysBack.length === 0) return "not known";
  const leading = waysBack.filter(({ to }) => to !== undefined && to !== null);
  if (leading.length === 0) return "nothing to go back to";
  if (isBlind(report)) return "not known";
  if (leading.some(({ outcome }) => outcome === "no-go")) return "**no**";
  if (leading.some(({ seconds }) => seconds === undefined || seconds === null)) return "yes; nobody measured how long";
  const seconds = leading.reduce((sum, way) => sum + (way.seconds ?? 0), 0);
  return `${leading.some(({ outcome }) => outcome === "needs-human") ? "if somebody decides so" : "yes"}, about ${duration(seconds)} for the data`;
}
