import { allReleases, numberOf } from "./catalog.ts";
import { answers, haveCommonVersion } from "./compatibility.ts";
import type { Release } from "./release.ts";
import { verdictOf } from "./verdict.ts";
import type { Finding, Verdict } from "./verdict.ts";

/** What was found between a release and those whose fleets would run beside it. */
export interface SideBySide extends Verdict {
  /** One line for each pair of services that serve the same API, with the versions of both sides. */
  readonly pairs: readonly string[];
}

/**
 * May the fleets of these releases run at once, in every region: also of releases that are no neighbours, as when one wave goes to r3
 * while another still runs r1? Clients reach whatever their tenant's wave runs, so every API version that the older one serves
 * must be served by the newer one, or have been named as a breaking change on the way; and the older one must serve what
 * the newer one asks of whom it stands beside (`requires.apis`). Pure; never throws for a "no".
 * @param others in any order; the release itself is passed over
 */
export function sideBySide(to: Release, others: readonly Release[], releases = allReleases()): SideBySide {
  const beside = others.filter(({ id }) => id !== to.id);
  const found = beside.map((other) => {
    const isOlder = numberOf(other.id, releases) < numberOf(to.id, releases);
    const [older, newer] = isOlder ? [other, to] : [to, other];
    return { findings: findingsBetween(older, newer, releases), pairs: pairsOf(older, newer) };
  });
  return {
    ...verdictOf(found.flatMap(({ findings }) => findings)),
    pairs: found.flatMap(({ pairs }) => pairs),
  };
}

function findingsBetween(older: Release, newer: Release, releases: readonly Release[]): Finding[] {
  const onTheWay = releases.slice(numberOf(older.id, releases), numberOf(newer.id, releases));
  const announced = onTheWay.flatMap((release) =>
    release.breakingChanges.map((change) => ({ ...change, release: release.id })),
  );
  const dropped = served(older)
    .filter(({ api, version }) => !newer.services.some((service) => answers(service, api, version)))
    .map(({ service, api, version }): Finding => {
      const sides = `${service} of ${older.id} serves API ${api} ${version}, ${offers(newer, api)}`;
      const change = announced.find((each) => each.api === api && haveCommonVersion(each.removed, version));
      if (change === undefined)
        return {
          outcome: "no-go",
          reason: `${sides}, and no release between them names a breaking change: move the waves off ${older.id} first`,
        };
      return {
        outcome: "needs-human",
        reason: `${sides}: ${change.mend} (breaking change of ${change.release}); confirm that no client uses it`,
      };
    });
  const missing = Object.entries(newer.requires.apis)
    .filter(([api, range]) => !older.services.some((service) => answers(service, api, range)))
    .map(([api, range]): Finding => ({
      outcome: "no-go",
      reason: `${newer.id} runs beside releases that serve API ${api} ${range}, ${offers(older, api)}: move the waves off ${older.id} first`,
    }));
  return [...dropped, ...missing];
}

/** Every version of every API that a release's services serve. */
function served(release: Release): { service: string; api: string; version: string }[] {
  return release.services.flatMap(({ name, serves }) =>
    Object.entries(serves).flatMap(([api, range]) =>
      range.split("||").map((version) => ({ service: name, api, version: version.trim() })),
    ),
  );
}

function offers(release: Release, api: string): string {
  const found = release.services.filter(({ serves }) => Object.hasOwn(serves, api));
  if (found.length === 0) return `no service of ${release.id} serves ${api}`;
  return found.map(({ name, serves }) => `${name} of ${release.id} serves ${serves[api]}`).join(", ");
}

function pairsOf(older: Release, newer: Release): string[] {
  return older.services.flatMap(({ name, serves }) =>
    Object.entries(serves).map(
      ([api, range]) => `${name} of ${older.id} serves ${api} ${range}, ${offers(newer, api)}`,
    ),
  );
}
