import { pinOf } from "../../releases/pin.ts";
import { rollbackBudgetMinutes } from "../../releases/rules.ts";
import { isMove } from "../evidence/evidence-entry.ts";
import type { EvidenceEntry } from "../evidence/evidence-entry.ts";
import { explainPins } from "../history/pinned-state.ts";
import type { Pins } from "../history/pinned-state.ts";
import { code, inline } from "../report/markdown-text.ts";
import { duration } from "../way-back.ts";
import type { PaperFacts } from "./paper-facts.ts";
import { lines } from "./release-notes.ts";

/** What a release really took in one environment: every act with its time, what people decided, and the promise on going back. Markdown. */
export function retrospective(paper: PaperFacts): string {
  const { environment, to, now, unseen } = paper;
  const pin = pinOf(to);
  const entries = concerning(paper.entries, pin);
  const ended = entries.filter(({ phase, act, seconds }) => phase === "ended" && isMove(act) && seconds !== null);
  return lines([
    `# Retrospective: ${code(pin)} in ${inline(environment.name)}`,
    "",
    `Rendered ${now.toISOString()} from the evidence.`,
    ...unseen.map((each) => `Not seen: ${inline(each)}.`),
    "",
    ...(entries.length === 0 ? [`Nothing yet: the evidence knows no act that concerns ${code(pin)}.`] : []),
    ...(entries.length === 0 ? [] : [...summary(paper, entries, ended), "", ...timeline(entries)]),
    "",
    ...section("Decided against a gate", overrides(entries)),
    ...section("Approved and signed", [...approvals(entries), ...signed(entries)]),
    ...section("Held and rescinded meanwhile", stops(paper.entries, entries)),
    ...section("Did not end well", badEnds(entries)),
  ]);
}

/** Acts that go to the release or leave it. */
function concerning(entries: readonly EvidenceEntry[], pin: string): EvidenceEntry[] {
  const names = (pins: Pins) => Object.values(pins).some(({ now }) => now === pin);
  return entries.filter(({ from, to }) => names(from) || names(to));
}

function summary(
  { environment, to }: PaperFacts,
  entries: readonly EvidenceEntry[],
  ended: readonly EvidenceEntry[],
): string[] {
  const planned = environment.planned[to.id];
  const first = entries.find(({ act }) => act === "promotion");
  const proven = entries.find(({ verified }) => verified.includes(pinOf(to)));
  const back = ended.filter(({ act }) => act === "rollback");
  const longest = back.length === 0 ? undefined : Math.max(...back.map(({ seconds }) => seconds ?? 0));
  return [
    `- planned for: ${planned === undefined ? "no day" : inline(planned)}; begun: ${first === undefined ? "not yet" : inline(first.at)}; proven: ${proven === undefined ? "not yet" : inline(proven.at)}`,
    ...(first !== undefined && proven !== undefined
      ? [`- from the first update to the proof: ${duration((Date.parse(proven.at) - Date.parse(first.at)) / 1000)}`]
      : []),
    `- updates that were measured: ${ended.length}, ${duration(ended.reduce((sum, { seconds }) => sum + (seconds ?? 0), 0))} together`,
    longest === undefined
      ? "- nobody went back"
      : `- went back ${back.length} times, the longest took ${duration(longest)}; the promise is ${rollbackBudgetMinutes} min: ${longest <= rollbackBudgetMinutes * 60 ? "kept" : "**broken**"}`,
  ];
}

function timeline(entries: readonly EvidenceEntry[]): string[] {
  return [
    "| at | act | who | to | outcome | took |",
    "| --- | --- | --- | --- | --- | --- |",
    ...entries
      .filter(({ phase }) => phase === "ended")
      .map(
        ({ at, act, who, to, outcome, seconds }) =>
          `| ${[at, act, who, explainPins(to), outcome ?? "-"].map((cell) => inline(cell, 100)).join(" | ")} | ${seconds === null ? "-" : duration(seconds)} |`,
      ),
  ];
}

function overrides(entries: readonly EvidenceEntry[]): string[] {
  return unique(
    entries.flatMap(({ gates }) =>
      gates.flatMap(({ id, override }) => (override === null ? [] : [`${code(id)}: ${inline(override)}`])),
    ),
  );
}

function approvals(entries: readonly EvidenceEntry[]): string[] {
  return unique(
    entries.flatMap(({ act, approvals: by }) =>
      by.map(({ who, role, digest }) => `${inline(who)} approved ${code(digest)} as ${inline(role)} (${inline(act)})`),
    ),
  );
}

function signed(entries: readonly EvidenceEntry[]): string[] {
  return unique(
    entries.flatMap(({ gates }) =>
      gates.flatMap(({ id, outcome, evidence }) =>
        id.startsWith("signed:") && outcome === "go"
          ? [`${code(id.slice("signed:".length))}: ${inline(evidence)}`]
          : [],
      ),
    ),
  );
}

/** What stopped people between the first and the last act. */
function stops(all: readonly EvidenceEntry[], entries: readonly EvidenceEntry[]): string[] {
  const since = entries[0]?.at ?? "";
  return entries.length === 0
    ? []
    : all
        .filter(({ act, at }) => ["hold", "unhold", "rescission"].includes(act) && at >= since)
        .map(
          ({ act, at, who, notes }) => `${inline(at)} ${inline(act)} by ${inline(who)}: ${inline(notes.join("; "))}`,
        );
}

/** An act that began and has no end was killed; one that ended in an error or a refusal says why. */
function badEnds(entries: readonly EvidenceEntry[]): string[] {
  return entries.flatMap((entry, index) => {
    const { phase, act, at, outcome, notes } = entry;
    const next = entries.slice(index + 1).find((other) => other.act === act);
    if (phase === "begun")
      return next?.phase === "ended" ? [] : [`${inline(at)} ${inline(act)}: began and its end was never written`];
    return outcome === "go" ? [] : [`${inline(at)} ${inline(act)}: ${inline(`${outcome}: ${notes.join("; ")}`, 600)}`];
  });
}

function section(title: string, found: readonly string[]): string[] {
  return [`## ${title}`, "", ...(found.length === 0 ? ["Nothing."] : found.map((each) => `- ${each}`)), ""];
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
