import type { Command } from "commander";
import { allReleases } from "../releases/catalog.ts";
import { pinOf } from "../releases/pin.ts";
import type { Report } from "./outcome.ts";
import { checklist } from "./paper/checklist.ts";
import { gatherPaper } from "./paper/gather-paper.ts";
import type { PaperFacts } from "./paper/paper-facts.ts";
import { announcement, changelog, knownIssues, releaseNotes, tenantNotes } from "./paper/release-notes.ts";
import { releasePlan } from "./paper/release-plan.ts";
import { retrospective } from "./paper/retrospective.ts";
import { runbook } from "./paper/runbook.ts";
import { withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { runCommand } from "./terminal.ts";

interface NotesOptions extends CommonOptions {
  readonly tenant?: string;
  readonly changelog?: boolean;
  readonly announcement?: boolean;
  readonly knownIssues?: boolean;
}

const help = (example: string) =>
  `
Markdown on stdout, rendered from the release, the stack file, the registry and the evidence at this moment. Texts of
releases and people are shown as they are and do nothing. Changes nothing; what could not be read is named.

Examples:
${example}`;

/** Papers that people hand round: none is kept, each is rendered when somebody wants it. */
export function registerPapers(program: Command, surroundings: Surroundings): void {
  const { terminal, exit } = surroundings;
  const add = (name: string, about: string, example: string) =>
    withCommonOptions(program.command(`${name} [release]`).description(about)).addHelpText("after", help(example));
  const run = async (
    release: string | undefined,
    options: CommonOptions,
    kind: string,
    render: (paper: PaperFacts) => string,
  ) =>
    exit(
      await runCommand(terminal, options.json ?? false, () => paperOf(release, options, surroundings, kind, render)),
    );
  add(
    "notes",
    "release notes of an environment or of one tenant",
    "  coordinator notes r2 --env prod\n  coordinator notes r2 --env prod --tenant acme",
  )
    .option("--tenant <id>", "as this tenant meets them")
    .option("--changelog", "every release up to this one, newest first")
    .option("--announcement", "a few sentences for people outside")
    .option("--known-issues", "what is known not to be as one would like")
    .action((release: string | undefined, options: NotesOptions) =>
      run(release, options, "notes", (paper) => {
        if (options.tenant !== undefined) return tenantNotes(paper, options.tenant);
        if (options.changelog) return changelog(paper, allReleases());
        if (options.knownIssues) return knownIssues(paper);
        return options.announcement ? announcement(paper) : releaseNotes(paper);
      }),
    );
  add(
    "plan",
    "plan and timeline of a release: gates, checklist, waves with rows and minutes",
    "  coordinator plan r2 --env prod",
  ).action((release: string | undefined, options: CommonOptions) => run(release, options, "plan", releasePlan));
  add(
    "checklist",
    "the checklist with what a command has found and what people have signed",
    "  coordinator checklist r2 --env prod",
  ).action((release: string | undefined, options: CommonOptions) => run(release, options, "checklist", checklist));
  add(
    "retrospective",
    "what a release really took: acts with their times, decisions, holds, and the promise on going back",
    "  coordinator retrospective r2 --env prod",
  ).action((release: string | undefined, options: CommonOptions) =>
    run(release, options, "retrospective", retrospective),
  );
  add(
    "runbook",
    "what to type forward and back, with this environment's values",
    "  coordinator runbook r2 --env prod",
  ).action((release: string | undefined, options: CommonOptions) => run(release, options, "runbook", runbook));
}

async function paperOf(
  release: string | undefined,
  options: CommonOptions,
  surroundings: Surroundings,
  kind: string,
  render: (paper: PaperFacts) => string,
): Promise<Report> {
  const paper = await gatherPaper(release, options, surroundings);
  const text = render(paper);
  const { environment, to, gates, migrations, waysBack, unseen } = paper;
  const data = {
    environment: environment.name,
    release: pinOf(to),
    kind,
    markdown: text,
    gates,
    migrations,
    waysBack,
    unseen,
  };
  return { outcome: "go", text, data, isDocument: true };
}
