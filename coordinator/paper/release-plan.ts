import { pinOf } from "../../releases/pin.ts";
import { nextEligible } from "../gate/gate.ts";
import { code, inline } from "../report/markdown-text.ts";
import { duration } from "../way-back.ts";
import { checklistLines } from "./checklist.ts";
import { movingWaves } from "./paper-facts.ts";
import type { PaperFacts } from "./paper-facts.ts";
import { lines } from "./release-notes.ts";

/** Plan and timeline of a release in one environment: gates, checklist, waves in their order with rows and minutes. Markdown. */
export function releasePlan(paper: PaperFacts): string {
  const { environment, to, gates, migrations, unseen, now, entries } = paper;
  const env = environment.name;
  const moving = movingWaves(paper);
  const next = nextEligible(gates);
  const planned = environment.planned[to.id];
  return lines([
    `# Plan: ${code(pinOf(to))} in ${inline(env)}`,
    "",
    `Rendered ${now.toISOString()}. ${planned === undefined ? "No day is planned." : `Planned for ${inline(planned)}.`}`,
    ...(next === undefined ? [] : [`Gates that only wait are open from ${next.toISOString()} on.`]),
    ...unseen.map((each) => `Not seen: ${inline(each)}.`),
    "",
    "## Gates",
    "",
    "| gate | outcome | evidence |",
    "| --- | --- | --- |",
    ...gates.map(({ id, outcome, evidence }) => `| ${code(id)} | ${outcome} | ${inline(evidence)} |`),
    "",
    "## Checklist",
    "",
    ...checklistLines(paper),
    "## Timeline",
    "",
    ...(moving.length === 0 ? [`Every wave pins ${code(pinOf(to))} already.`] : []),
    ...moving.flatMap(({ wave, from }, index) => {
      const { soakHours = 0 } = environment.waves.find(({ name }) => name === wave) ?? {};
      const migration = migrations.find((each) => each.wave === wave);
      const known = (migration?.mirrors ?? []).map(({ seconds }) => seconds);
      const time =
        known.length === 0 || known.includes(null)
          ? "nobody measured how long"
          : `about ${duration(known.reduce<number>((sum, each) => sum + (each ?? 0), 0))}`;
      const rows = (migration?.mirrors ?? []).reduce((sum, each) => sum + each.rows, 0);
      return [
        `${index + 1}. wave ${inline(wave)}: ${code(pinOf(from))} → ${code(pinOf(to))}, ${migration?.moving ?? 0} tenants, ${rows} rows, ${time}`,
        `   - ${code(`coordinator promote ${to.id} --env ${env} --wave ${wave}`)}`,
        ...(soakHours > 0 ? [`   - then ${soakHours} hours before the next wave`] : []),
      ];
    }),
    ...(to.data.length === 0
      ? []
      : [
          `${moving.length + 1}. when nobody wants to go back: ${code(`coordinator finalize ${to.data[0]?.mirror} --env ${env}`)}`,
        ]),
    "",
    "## Measured here so far",
    "",
    ...measured(entries),
  ]);
}

/** What acts of this environment really took. */
export function measured(entries: PaperFacts["entries"]): string[] {
  const ended = entries.filter(({ phase, seconds }) => phase === "ended" && seconds !== null).slice(-10);
  if (ended.length === 0) return ["Nothing yet: no act of this environment has ended with evidence."];
  return [
    "| at | act | outcome | took |",
    "| --- | --- | --- | --- |",
    ...ended.map(
      ({ at, act, outcome, seconds }) =>
        `| ${inline(at)} | ${inline(act)} | ${inline(outcome ?? "-")} | ${duration(seconds ?? 0)} |`,
    ),
  ];
}
