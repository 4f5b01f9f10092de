import { allReleases, findRelease } from "./catalog.ts";
import type { Release } from "./release.ts";

/**
 * The fewest steps from one release to another, both included; each step goes to a direct neighbour. undefined: no way.
 * Length 1 = the same release, 2 = one update, 3 = two updates.
 */
export function releasePath(from: string, to: string, releases = allReleases()): readonly Release[] | undefined {
  const start = findRelease(from, releases);
  if (start === undefined || findRelease(to, releases) === undefined) return undefined;
  const seen = new Set([from]);
  for (let ways: (readonly Release[])[] = [[start]]; ways.length > 0;) {
    const found = ways.find((way) => way.at(-1)?.id === to);
    if (found !== undefined) return found;
    ways = ways.flatMap((way) =>
      releases
        .filter((next) => !seen.has(next.id) && areNeighbours(way.at(-1), next))
        .map((next) => {
          seen.add(next.id);
          return [...way, next];
        }),
    );
  }
  return undefined;
}

/** `r3 -> r2, r2 -> r1` */
export function explainPathOf(path: readonly Release[]): string {
  return path
    .slice(1)
    .map((release, index) => `${path[index]?.id} -> ${release.id}`)
    .join(", ");
}

/** One of the two directly follows the other: a promotion or a rollback between them is one update. */
export function areNeighbours(one: Release | undefined, other: Release): boolean {
  return one !== undefined && (one.requires.releases.includes(other.id) || other.requires.releases.includes(one.id));
}
