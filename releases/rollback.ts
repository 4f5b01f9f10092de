import { allReleases, findRelease, numberOf, sinkMirrorsOf } from "./catalog.ts";
import { shortHash } from "./content-hash.ts";
import { explainTenants, isSinkAuthoritative, tenantsOf } from "./mirror-state.ts";
import type { MirrorState } from "./mirror-state.ts";
import { explainPathOf, releasePath } from "./release-path.ts";
import type { Release } from "./release.ts";
import { verdictOf } from "./verdict.ts";
import type { Finding, Verdict } from "./verdict.ts";

/** The promise: from the command to the last tenant back. */
export const rollbackBudgetMinutes = 15;

/** What is known of the environment beside its positions. */
export interface RollbackFacts {
  readonly runtime?: Release["runtimes"][number];
  /** First 12 digits of content hashes that are forbidden for ever. */
  readonly rescinded?: readonly string[];
}

export interface RollbackVerdict extends Verdict {
  /** Tenants that return by one short transaction, seconds each. */
  readonly instantTenants: number;
  /** Tenants whose source was dropped: it is rebuilt from the sink first. */
  readonly rebuildTenants: number;
  /** Drains and rebuilds one after another at the measured rates; undefined when a rate is missing. */
  readonly dataSeconds: number | undefined;
}

/**
 * May an environment that runs `from` go back to `to`, and what does that take? Change windows play no part.
 * Pure; never throws for a "no".
 * @param positions one entry per mirror and position, tenants summed
 */
export function rollback(
  from: Release,
  to: Release,
  positions: readonly MirrorState[],
  facts: RollbackFacts = {},
  releases = allReleases(),
): RollbackVerdict {
  const step = stepFindings(from, to, releases);
  if (step.length > 0) return { ...verdictOf(step), instantTenants: 0, rebuildTenants: 0, dataSeconds: undefined };
  const inhabited = positions.filter((state) => state.tenants > 0);
  const leaving = sinkMirrorsOf(from.id, releases).filter((mirror) => !sinkMirrorsOf(to.id, releases).includes(mirror));
  const moved = inhabited.filter((state) => leaving.includes(state.mirror));
  const instant = moved.filter((state) => state.position === "switched");
  const rebuilt = moved.filter((state) => state.position === "retired");
  const verdict = verdictOf([
    ...placeFindings(to, facts),
    ...schemaFindings(from, to, releases),
    ...strangerFindings(from, inhabited, releases),
    ...keptFindings(to, inhabited, releases),
    ...unmovedFindings(to, moved),
    ...instantFindings(to, instant),
    ...rebuildFindings(from, to, rebuilt),
  ]);
  return {
    ...verdict,
    instantTenants: tenantsOf(instant),
    rebuildTenants: tenantsOf(rebuilt),
    dataSeconds: sumOf([
      ...instant.map((state) => secondsFor(state.dirty, state)),
      ...rebuilt.map((state) => secondsFor(state.rows, state)),
    ]),
  };
}

function stepFindings(from: Release, to: Release, releases: readonly Release[]): Finding[] {
  for (const release of [from, to]) {
    if (findRelease(release.id, releases) === undefined) {
      return no(`${release.id} is not in the catalog: check out the commit that holds releases/${release.id}.ts`);
    }
  }
  if (from.id === to.id) return no(`${to.id} is what runs: there is nothing to go back from`);
  if (from.requires.releases.includes(to.id)) return [];
  if (numberOf(to.id, releases) > numberOf(from.id, releases)) {
    return no(`${to.id} is newer than ${from.id}: going there is a promotion, coordinator promote ${to.id}`);
  }
  const path = releasePath(from.id, to.id, releases);
  const way = path === undefined ? "no way back leads there" : `${path.length - 1} updates: ${explainPathOf(path)}`;
  return no(
    `${from.id} goes back to ${from.requires.releases.join(", ") || "nothing"} only, one release at a time; ${way}`,
  );
}

function placeFindings(to: Release, facts: RollbackFacts): Finding[] {
  const hash = shortHash(to);
  return [
    ...(facts.rescinded?.includes(hash) === true
      ? no(
          `${to.id}@${hash} is rescinded and never runs again: go forward to a correction of what runs, under a new id`,
        )
      : []),
    ...(facts.runtime === undefined || to.runtimes.includes(facts.runtime)
      ? []
      : no(
          `${to.id} runs on ${to.runtimes.join(", ")}, and this environment on ${facts.runtime}: go forward to a correction of what runs, under a new id`,
        )),
  ];
}

/** Alembic's expand revisions stay when an environment goes back, so the older release must be able to live with them. */
function schemaFindings(from: Release, to: Release, releases: readonly Release[]): Finding[] {
  const { expandTo, contractTo, oldestOn } = from.schema;
  if (!isAtLeast(to, oldestOn.expand, releases)) {
    return no(
      `schema ${expandTo} of ${from.id} runs nothing older than ${oldestOn.expand}, so ${to.id} cannot: ${forward(from)}`,
    );
  }
  // With a mirror, its position says whether the contract revision ran, and the rebuild undoes it.
  if (contractTo === expandTo || from.data.length > 0 || isAtLeast(to, oldestOn.contract, releases)) return [];
  return [
    {
      outcome: "needs-human",
      reason: `${to.id} cannot run on schema ${contractTo}, and no mirror of ${from.id} tells whether it was reached: coordinator diff --exact reads it; after it ${forward(from)}`,
    },
  ];
}

/** A mirror that only a newer release moves must not have moved. */
function strangerFindings(from: Release, positions: readonly MirrorState[], releases: readonly Release[]): Finding[] {
  const known = sinkMirrorsOf(from.id, releases);
  return positions
    .filter((state) => !known.includes(state.mirror) && isSinkAuthoritative(state.position))
    .flatMap((state) =>
      no(
        `mirror ${state.mirror} of ${explainTenants([state])} is ${state.position}, which ${from.id} cannot have done: a newer release runs there; coordinator diff --exact, then roll back from that one`,
      ),
    );
}

/** Mirrors that stay on the sink under `to` must be there. */
function keptFindings(to: Release, positions: readonly MirrorState[], releases: readonly Release[]): Finding[] {
  const kept = sinkMirrorsOf(to.id, releases);
  return positions
    .filter((state) => kept.includes(state.mirror) && !isSinkAuthoritative(state.position))
    .flatMap((state) =>
      no(
        `${to.id} reads the sink of ${state.mirror}, but it is ${state.position} for ${explainTenants([state])}: finish the promotion to ${to.id} for them first, coordinator promote ${to.id}`,
      ),
    );
}

function unmovedFindings(to: Release, moved: readonly MirrorState[]): Finding[] {
  return moved
    .filter((state) => !isSinkAuthoritative(state.position))
    .map((state) => ({
      outcome: "go",
      reason: `${state.mirror} is ${state.position} for ${explainTenants([state])}: what ${to.id} reads is the source, no data moves`,
    }));
}

function instantFindings(to: Release, instant: readonly MirrorState[]): Finding[] {
  return instant.map((state) => {
    const seconds = secondsFor(state.dirty, state);
    const drain =
      state.dirty === 0
        ? "nothing to drain"
        : `${state.dirty} changed rows to drain${seconds === undefined ? "" : `, about ${Math.ceil(seconds)} s`}`;
    return {
      outcome: "go",
      reason: `${state.mirror}: instant for ${explainTenants([state])} to ${to.id} (${drain}, then one short transaction each), until finalize retires the mirror`,
    };
  });
}

function rebuildFindings(from: Release, to: Release, rebuilt: readonly MirrorState[]): Finding[] {
  return rebuilt.flatMap((state): Finding[] => {
    const move = from.data.find((candidate) => candidate.mirror === state.mirror);
    const who = explainTenants([state]);
    if (move?.isRebuildable !== true) {
      return no(
        `${state.mirror} is retired for ${who} and its source cannot be rebuilt for ${to.id}: ${forward(from)}`,
      );
    }
    const seconds = secondsFor(state.rows, state);
    const what = `${state.mirror} is retired for ${who}: the source of ${state.rows} rows is rebuilt from the sink and verified first`;
    if (seconds === undefined) {
      return [
        {
          outcome: "needs-human",
          reason: `${what}; no rate was measured, so nobody knows how long: coordinator diff --exact measures, or decide`,
        },
      ];
    }
    const minutes = Math.ceil(seconds / 60);
    if (seconds > rollbackBudgetMinutes * 60) {
      return [
        {
          outcome: "needs-human",
          reason: `${what}, about ${minutes} min, more than the promised ${rollbackBudgetMinutes}: decide whether to wait, or ${forward(from)}`,
        },
      ];
    }
    return [{ outcome: "go", reason: `${what}, about ${minutes} min; ${from.id} goes on running meanwhile` }];
  });
}

function secondsFor(rows: number, state: MirrorState): number | undefined {
  if (rows === 0) return 0;
  const rate = state.rateRowsPerSecond ?? 0;
  return rate > 0 ? rows / rate : undefined;
}

function sumOf(parts: readonly (number | undefined)[]): number | undefined {
  return parts.reduce<number | undefined>(
    (sum, part) => (sum === undefined || part === undefined ? undefined : sum + part),
    0,
  );
}

function isAtLeast(release: Release, oldest: string, releases: readonly Release[]): boolean {
  return findRelease(oldest, releases) !== undefined && numberOf(release.id, releases) >= numberOf(oldest, releases);
}

function forward(from: Release): string {
  return `the way is forward: correct ${from.id} under a new id such as ${from.id.replace(/[a-z]$/, "")}b and promote that`;
}

function no(reason: string): Finding[] {
  return [{ outcome: "no-go", reason }];
}
