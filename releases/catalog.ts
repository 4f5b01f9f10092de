import { contentHash, shortHash } from "./content-hash.ts";
import { FaultReport } from "./fault.ts";
import { r1 } from "./r1.ts";
import { r2 } from "./r2.ts";
import { r3 } from "./r3.ts";
import { r4 } from "./r4.ts";
import { pinOf } from "./pin.ts";
import type { Pin } from "./pin.ts";
import { faultsOfRelease } from "./release.ts";
import type { Release } from "./release.ts";
import { faultsOfCatalog } from "./release-checks.ts";

/** All releases, oldest first; each stands in the file named after its id. A new release is added here. */
const literals: readonly Release[] = [r1, r2, r3, r4];

let checked: readonly Release[] | undefined;

/**
 * All releases, oldest first, checked at the first call.
 * @throws {FaultReport} with every fault of every release file
 */
export function allReleases(): readonly Release[] {
  checked ??= checkReleases(literals);
  return checked;
}

/** @throws {FaultReport} with every fault in and between the given releases, oldest first */
export function checkReleases(releases: readonly Release[]): readonly Release[] {
  const own = releases.flatMap((release) =>
    faultsOfRelease(release, fileOf(release.id)).map((fault) => ({ ...fault, path: `${release.id}.${fault.path}` })),
  );
  // Checks between releases read fields that the first pass may just have refused, so they wait for it.
  const faults = own.length > 0 ? own : faultsOfCatalog(releases);
  if (faults.length > 0) throw new FaultReport("The release catalog", faults);
  return releases;
}

export function findRelease(id: string, releases = allReleases()): Release | undefined {
  return releases.find((release) => release.id === id);
}

/** @throws {Error} no release has this id */
export function getRelease(id: string, releases = allReleases()): Release {
  const release = findRelease(id, releases);
  if (release !== undefined) return release;
  throw new Error(
    `release "${id}" is not in the catalog; allowed are ${releases.map((known) => known.id).join(", ")}; add ${fileOf(id)} and list it in releases/catalog.ts, or correct the id`,
  );
}

/** The release a pin names, if it is in the catalog with that content. */
export function findPinned(pin: Pin, releases = allReleases()): Release | undefined {
  const release = findRelease(pin.id, releases);
  return release !== undefined && shortHash(release) === pin.hash ? release : undefined;
}

/** @throws {Error} unknown id, or other content than the pin's hash stands for; names both hashes */
export function getPinned(pin: Pin, releases = allReleases()): Release {
  const release = getRelease(pin.id, releases);
  const hash = shortHash(release);
  if (hash === pin.hash) return release;
  throw new Error(
    `${pin.id} is pinned at ${pin.hash}, but ${fileOf(pin.id)} has the content hash ${hash}: pin ${pinOf(release)}, or check out the commit that holds ${pin.hash}`,
  );
}

/** Place of a release in the catalog, from 1: ports and order follow from it. @throws {Error} not in the catalog */
export function numberOf(id: string, releases = allReleases()): number {
  return releases.indexOf(getRelease(id, releases)) + 1;
}

/** Names of all mirrors that any release moves. */
export function allMirrors(releases = allReleases()): readonly string[] {
  return releases.flatMap((release) => release.data.map((move) => move.mirror));
}

/** Mirrors whose sink is authoritative under a release: those it moves and those that older releases moved. */
export function sinkMirrorsOf(id: string, releases = allReleases()): readonly string[] {
  return releases.slice(0, numberOf(id, releases)).flatMap((release) => release.data.map((move) => move.mirror));
}

/** File that holds a release, for messages. */
export function fileOf(id: string): string {
  return `releases/${id}.ts`;
}

/** id -> full content hash of every release. */
export function contentHashes(releases = allReleases()): Readonly<Record<string, string>> {
  return Object.fromEntries(releases.map((release) => [release.id, contentHash(release)]));
}
