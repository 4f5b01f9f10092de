import { pinOf } from "../../releases/pin.ts";
import { rollbackBudgetMinutes } from "../../releases/rules.ts";
import { code, fenced, inline } from "../report/markdown-text.ts";
import { duration } from "../way-back.ts";
import { movingWaves } from "./paper-facts.ts";
import type { PaperFacts } from "./paper-facts.ts";
import { lines } from "./release-notes.ts";
import { measured } from "./release-plan.ts";

/** What a release manager types forward, and an on-call engineer back, with the values of this environment. Markdown. */
export function runbook(paper: PaperFacts): string {
  const { environment, to, waysBack, facts, now, unseen } = paper;
  const env = environment.name;
  const moving = movingWaves(paper);
  return lines([
    `# Runbook: ${code(pinOf(to))} in ${inline(env)}`,
    "",
    `Rendered ${now.toISOString()} from the stack file, the registry and the evidence.`,
    ...unseen.map((each) => `Not seen: ${inline(each)}.`),
    "",
    "## Forward",
    "",
    ...commands(
      `coordinator status --env ${env}`,
      `coordinator check ${to.id} --env ${env}`,
      `coordinator diff ${to.id} --env ${env}`,
      ...moving.map(({ wave }) => `coordinator promote ${to.id} --env ${env} --wave ${wave}`),
      `coordinator verify --env ${env} --rows`,
    ),
    "",
    "Exit 3 means that something waits: a soak, a window, an approval. The same command goes on. Exit 2 says what is in the way.",
    "",
    "## Back",
    "",
    ...commands(`coordinator rollback ${env} --dry-run`, `coordinator rollback ${env} --reason "<what you see>"`),
    "",
    `The promise is ${rollbackBudgetMinutes} minutes. No window, no approval and no soak stands before it; the rules on data and schema do.`,
    "",
    ...waysBack.map((way) => {
      const { wave, from, to: back, outcome, seconds, secondsAfterFinalize, reasons } = way;
      if (back === undefined)
        return `- wave ${inline(wave)}: no way back (${reasons.map((each) => inline(each)).join("; ")})`;
      const time = seconds === undefined ? "nobody measured how long" : `about ${duration(seconds)} for the data`;
      const later =
        secondsAfterFinalize === undefined
          ? "a rebuild that nobody measured"
          : `a rebuild, about ${duration(secondsAfterFinalize)}`;
      return `- wave ${inline(wave)}: ${code(from)} to ${code(back)}: ${outcome}, ${time}; once finalized ${later}`;
    }),
    "",
    "### What going back does not restore",
    "",
    ...(to.data.length === 0
      ? []
      : [
          `- the schema keeps what ${inline(to.id)} added (revision ${code(to.schema.expandTo)}): the older release runs with it`,
        ]),
    ...(to.vault.isNeeded ? ["- keys and keysets in Vault stay: a later promotion needs no second set-up"] : []),
    "- what people did with the newer release stays: rows written, tenants onboarded, mails and calls that left the platform",
    "- a damaged row stays damaged: that is a restore, `coordinator restore --help`",
    "",
    "## When it goes wrong",
    "",
    "| what you see | what you type |",
    "| --- | --- |",
    `| the update was killed | ${code(`coordinator promote ${to.id} --env ${env}`)} goes on, ${code(`coordinator rollback ${env}`)} turns round |`,
    `| the stack is locked by a dead process | ${code(`coordinator rollback ${env}`)} breaks the lock; else ${code("pulumi cancel")} |`,
    `| some tenants have not moved | ${code(`coordinator status --env ${env}`)} names them; the same command goes on with them |`,
    `| nobody may touch it | ${code(`coordinator hold --env ${env} --why "<why>"`)} |`,
    "",
    "## Held now",
    "",
    ...(facts.holds.length === 0
      ? ["Nothing."]
      : facts.holds.map(({ who, why, since }) => `- since ${since.toISOString()} by ${inline(who)}: ${inline(why)}`)),
    "",
    "## Measured here",
    "",
    ...measured(paper.entries),
  ]);
}

function commands(...words: readonly string[]): string[] {
  return [fenced(words.join("\n")).replace("```text", "```sh")];
}
