import { allReleases, findRelease, numberOf, sinkMirrorsOf } from "./catalog.ts";
import { answers, haveCommonVersion } from "./compatibility.ts";
import { shortHash } from "./content-hash.ts";
import { explainTenants, isSinkAuthoritative, tenantsOf } from "./mirror-state.ts";
import type { MirrorState } from "./mirror-state.ts";
import { explainPathOf, releasePath } from "./release-path.ts";
import type { Release } from "./release.ts";
import { verdictOf } from "./verdict.ts";
import type { Finding, Verdict } from "./verdict.ts";

/** What the coordinator knows of an environment when it asks for a promotion. */
export interface PromotionFacts {
  readonly runtime: Release["runtimes"][number];
  readonly regions: number;
  readonly present: { readonly vault: boolean; readonly milvus: boolean };
  /** By id of a `checked` blocker: was it found out of the way? Not named = nobody looked. */
  readonly blockers: Readonly<Record<string, boolean>>;
  /** First 12 digits of content hashes that are forbidden for ever. */
  readonly rescinded?: readonly string[];
  readonly positions?: readonly MirrorState[];
}

/**
 * May an environment that runs `from` be promoted to `to`? `from` undefined: nothing runs there yet.
 * Pure; never throws for a "no".
 */
export function promotion(
  from: Release | undefined,
  to: Release,
  facts: PromotionFacts,
  releases = allReleases(),
): Verdict {
  const step = stepFindings(from, to, releases);
  return verdictOf([
    ...step,
    ...rescindedFindings(to, facts),
    ...blockerFindings(to, facts),
    ...placeFindings(to, facts),
    // Between releases that are no neighbours the rest would only add noise to the first reason.
    ...(step.length > 0 || from === undefined
      ? []
      : [...apiFindings(from, to), ...positionFindings(from, to, facts, releases)]),
  ]);
}

function stepFindings(from: Release | undefined, to: Release, releases: readonly Release[]): Finding[] {
  for (const release of [from, to]) {
    if (release !== undefined && findRelease(release.id, releases) === undefined) {
      return no(`${release.id} is not in the catalog: add releases/${release.id}.ts to releases/catalog.ts`);
    }
  }
  if (from === undefined) return [];
  if (from.id === to.id) return no(`${to.id} is pinned already: coordinator status shows what is left to do`);
  if (to.requires.releases.includes(from.id)) return [];
  if (numberOf(to.id, releases) < numberOf(from.id, releases)) {
    return no(
      `${to.id} is older than ${from.id}: going there is a rollback, coordinator rollback <environment> --to ${to.id}`,
    );
  }
  const path = releasePath(from.id, to.id, releases);
  const way =
    path === undefined
      ? `no releases lead from ${from.id} to ${to.id}`
      : `promote step by step: ${explainPathOf(path)}`;
  return no(
    `${to.id} follows ${to.requires.releases.join(", ") || "nothing"}, not ${from.id}: one release at a time; ${way}`,
  );
}

function rescindedFindings(to: Release, facts: PromotionFacts): Finding[] {
  const hash = shortHash(to);
  if (facts.rescinded?.includes(hash) !== true) return [];
  return no(
    `${to.id}@${hash} is rescinded and never runs again: publish the correction under a new id and promote that`,
  );
}

function blockerFindings(to: Release, facts: PromotionFacts): Finding[] {
  return to.requires.blockers.flatMap((blocker): Finding[] => {
    if (blocker.state === "open") return no(`${to.id} is not ready to run anywhere: ${blocker.title}; ${blocker.mend}`);
    const isCleared = Object.hasOwn(facts.blockers, blocker.id) ? facts.blockers[blocker.id] : undefined;
    if (isCleared === true) return [];
    if (isCleared === false)
      return no(`blocker ${blocker.id} stands in the way of ${to.id}: not "${blocker.title}"; ${blocker.mend}`);
    return [
      {
        outcome: "needs-human",
        reason: `blocker ${blocker.id} of ${to.id} was not looked at: "${blocker.title}"; coordinator check ${to.id} looks`,
      },
    ];
  });
}

/** Where it would run: runtime, regions, stateful parts. */
function placeFindings(to: Release, facts: PromotionFacts): Finding[] {
  const { minimum, maximum } = to.regions;
  return [
    ...(to.runtimes.includes(facts.runtime)
      ? []
      : no(
          `${to.id} runs on ${to.runtimes.join(", ")}, and this environment on ${facts.runtime}: move the environment first`,
        )),
    ...(facts.regions >= minimum && facts.regions <= maximum
      ? []
      : no(
          `${to.id} runs in ${minimum} to ${maximum} regions, and this environment has ${facts.regions}: change regions in the stack file`,
        )),
    ...(["vault", "milvus"] as const)
      .filter((part) => to[part].isNeeded && !facts.present[part])
      .flatMap((part) =>
        no(`${to.id} needs ${part}: name it in every region and set present.${part} to true in the stack file`),
      ),
  ];
}

/** Both fleets stand side by side for a while, so what clients use must be served by both. */
function apiFindings(from: Release, to: Release): Finding[] {
  const missing = Object.entries(to.requires.apis)
    .filter(([api, range]) => !from.services.some((service) => answers(service, api, range)))
    .flatMap(([api, range]) =>
      no(
        `${to.id} requires that ${from.id} serves API ${api} ${range}, which it does not: promote to a release that does first`,
      ),
    );
  const dropped = from.services.flatMap((service) =>
    Object.entries(service.serves).flatMap(([api, served]) =>
      served
        .split("||")
        .map((version) => version.trim())
        .filter((version) => !to.services.some((other) => answers(other, api, version)))
        .map((version): Finding => droppedFinding(from, to, api, version)),
    ),
  );
  return [...missing, ...dropped];
}

function droppedFinding(from: Release, to: Release, api: string, version: string): Finding {
  const change = to.breakingChanges.find(
    (candidate) => candidate.api === api && haveCommonVersion(candidate.removed, version),
  );
  if (change !== undefined) {
    return {
      outcome: "needs-human",
      reason: `${to.id} no longer serves API ${api} ${version}: ${change.mend}; confirm that no client uses it`,
    };
  }
  return {
    outcome: "no-go",
    reason: `${to.id} no longer serves API ${api} ${version} of ${from.id} and names no breaking change: serve it, or name it in breakingChanges of a new release`,
  };
}

/** Every tenant must be where `from` leaves it before the next release may begin. */
function positionFindings(from: Release, to: Release, facts: PromotionFacts, releases: readonly Release[]): Finding[] {
  // Alembic has one line of revisions: expanding for `to` runs the contract revision of `from` on the way.
  const runsContract = to.schema.expandTo >= from.schema.contractTo && from.schema.contractTo > from.schema.expandTo;
  return sinkMirrorsOf(from.id, releases).flatMap((mirror) => {
    const states = (facts.positions ?? []).filter((state) => state.mirror === mirror && state.tenants > 0);
    const behind = states.filter((state) => !isSinkAuthoritative(state.position));
    const switched = states.filter((state) => state.position === "switched");
    return [
      ...(tenantsOf(behind) === 0
        ? []
        : no(
            `${explainTenants(behind)} still to reach ${from.id} (${mirror}): finish that promotion first, coordinator promote ${from.id}`,
          )),
      ...(tenantsOf(switched) === 0 || !runsContract
        ? []
        : no(
            `${mirror} of ${explainTenants(switched)} is switched, not retired, and the schema of ${to.id} (${to.schema.expandTo}) drops its source: coordinator finalize first; from then on the way back to the release before ${from.id} is a rebuild`,
          )),
    ];
  });
}

function no(reason: string): Finding[] {
  return [{ outcome: "no-go", reason }];
}
