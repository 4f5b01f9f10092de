import { getPinned } from "../../releases/catalog.ts";
import type { Environment } from "../../releases/environment.ts";
import { parsePin, pinOf } from "../../releases/pin.ts";
import type { Release } from "../../releases/release.ts";
import type { EnvironmentFacts } from "../environment-facts.ts";
import { code, inline } from "../report/markdown-text.ts";
import type { PaperFacts } from "./paper-facts.ts";

/** Release notes of one environment: what comes, what breaks, what is known, and for whom. Markdown. */
export function releaseNotes({ environment, to, facts }: PaperFacts): string {
  const waves = environment.waves.map(({ name }) => {
    const now = environment.pins[name]?.now ?? "none";
    return `- ${inline(name)}: ${code(now)}, ${facts.waves.get(name)?.length ?? 0} tenants`;
  });
  return lines([
    `# ${inline(to.title)} (${code(pinOf(to))}) in ${inline(environment.name)}`,
    "",
    ...sections(to),
    "## Who has it",
    "",
    ...waves,
  ]);
}

/** The notes as one tenant meets them: what changes for it, and when. @throws naming a tenant that nobody knows */
export function tenantNotes({ environment, to, facts }: PaperFacts, tenantId: string): string {
  const { wave, pin } = waveOf(environment, facts, tenantId);
  const isThere = pin === pinOf(to);
  const state = isThere ? "runs it now" : `runs ${code(pin ?? "no release")} and moves with its wave`;
  const planned = environment.planned[to.id];
  return lines([
    `# ${inline(to.title)} for ${inline(tenantId)}`,
    "",
    `${code(tenantId)} is in wave ${inline(wave)} of ${inline(environment.name)} and ${state}.`,
    ...(isThere || planned === undefined ? [] : ["", `Planned for ${inline(planned)}.`]),
    "",
    ...sections(to),
  ]);
}

/** Every release from the first one to what is pinned, newest first. Markdown. */
export function changelog({ environment, to }: PaperFacts, releases: readonly Release[]): string {
  const last = releases.findIndex(({ id }) => id === to.id);
  const shown = releases.slice(0, last + 1).reverse();
  return lines([
    `# Changes in ${inline(environment.name)}`,
    "",
    ...shown.flatMap((release) => [
      `## ${inline(`${release.title} ${release.version}`)} (${code(pinOf(release))})`,
      "",
      ...bullets(release.notes),
      ...release.breakingChanges.map(
        ({ api, removed, mend }) => `- breaks API ${code(api)} ${code(removed)}: ${inline(mend)}`,
      ),
      "",
    ]),
  ]);
}

/** What is known not to be as one would like: of the release, and of those before it that still run beside it. Markdown. */
export function knownIssues({ environment, to }: PaperFacts): string {
  const pinned = Object.values(environment.pins).map(({ now }) => getPinned(parsePin(now)));
  const shown = [to, ...new Set(pinned.filter(({ id }) => id !== to.id))];
  return lines([
    `# Known issues in ${inline(environment.name)}`,
    "",
    ...shown.flatMap((release) => [
      `## ${inline(`${release.title} ${release.version}`)} (${code(pinOf(release))})`,
      "",
      ...(release.knownIssues.length === 0
        ? ["None."]
        : release.knownIssues.map(({ id, text }) => `- ${code(id)}: ${inline(text)}`)),
      "",
    ]),
  ]);
}

/** A few plain sentences for people outside of the team. */
export function announcement({ environment, to, waysBack }: PaperFacts): string {
  const pins = new Set(Object.values(environment.pins).map(({ now }) => getPinned(parsePin(now)).title));
  const planned = environment.planned[to.id];
  const canReturn = waysBack.some(({ outcome, to: back }) => back !== undefined && outcome === "go");
  return lines([
    `**${inline(`${to.title} ${to.version}`)} comes to ${inline(environment.name)}**${planned === undefined ? "" : ` on ${inline(planned)}`}.`,
    "",
    `It follows ${[...pins].map((title) => inline(title)).join(", ")}. Tenants move wave by wave; nobody has to stop working.`,
    ...(to.breakingChanges.length === 0
      ? ["Nothing that clients use goes away."]
      : to.breakingChanges.map(
          ({ api, removed, mend }) => `API ${code(api)} ${code(removed)} goes away: ${inline(mend)}.`,
        )),
    canReturn ? "We can go back at any time until it is finalized, with everything that was written meanwhile." : "",
    "",
    ...bullets(to.notes),
  ]);
}

function sections({ notes, breakingChanges, knownIssues }: Release): string[] {
  return [
    "## What is new",
    "",
    ...bullets(notes),
    "",
    "## What breaks",
    "",
    ...(breakingChanges.length === 0
      ? ["Nothing."]
      : breakingChanges.map(
          ({ api, removed, mend }) => `- API ${code(api)} ${code(removed)} is gone: ${inline(mend)}`,
        )),
    "",
    "## Known issues",
    "",
    ...(knownIssues.length === 0 ? ["None."] : bullets(knownIssues.map(({ text }) => text))),
    "",
  ];
}

function waveOf(
  environment: Environment,
  facts: EnvironmentFacts,
  tenantId: string,
): { wave: string; pin?: string | undefined } {
  for (const [wave, tenants] of facts.waves) {
    const tenant = tenants.find(({ id }) => id === tenantId);
    if (tenant !== undefined) return { wave, pin: tenant.pin };
  }
  throw new Error(
    `no wave of ${environment.name} has the tenant ${tenantId}; coordinator status --env ${environment.name} --json lists them`,
  );
}

function bullets(texts: readonly string[]): string[] {
  return texts.map((text) => `- ${inline(text)}`);
}

export function lines(parts: readonly string[]): string {
  return `${parts
    .join("\n")
    .replaceAll(/\n{3,}/g, "\n\n")
    .trimEnd()}\n`;
}
