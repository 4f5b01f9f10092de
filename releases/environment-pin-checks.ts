import { allReleases, fileOf, findRelease } from "./catalog.ts";
import { shortHash } from "./content-hash.ts";
import type { Fault } from "./fault.ts";
import { at, listOf, pieceOf } from "./piece.ts";
import type { Piece } from "./piece.ts";
import { findPinIn, pinOf } from "./pin.ts";
import { allPublished, publishedFaults } from "./published.ts";
import { areNeighbours } from "./release-path.ts";
import type { Release } from "./release.ts";

/** Faults of the pins: unknown, edited or unfit releases, and more than one release between `now` and `back`. */
export function pinFaults(environment: Piece, file: string): Fault[] {
  const names = listOf(environment["waves"]).map((wave) => pieceOf(wave)["name"]);
  return Object.entries(pieceOf(environment["pins"])).flatMap(([wave, pins]) => {
    const { now, back } = pieceOf(pins);
    const faults = names.includes(wave)
      ? []
      : [
          at(
            ["pins", wave],
            pins,
            `a wave of this file: ${names.join(", ")}`,
            file,
            `remove pins.${wave} from ${file}, or add the wave`,
          ),
        ];
    faults.push(...pinFaultsAt(["pins", wave, "now"], now, environment, file));
    faults.push(...pinFaultsAt(["pins", wave, "back"], back, environment, file));
    const [newer, older] = [releaseIn(now), releaseIn(back)];
    if (newer !== undefined && older !== undefined && !areNeighbours(newer, older)) {
      const neighbours = allReleases().filter((release) => areNeighbours(newer, release));
      const allowed = `none, or a neighbour of ${newer.id}: ${neighbours.map(pinOf).join(", ")}`;
      faults.push(at(["pins", wave, "back"], back, allowed, file, "go one release at a time"));
    }
    return faults;
  });
}

function pinFaultsAt(path: readonly PropertyKey[], text: unknown, environment: Piece, file: string): Fault[] {
  const pin = typeof text === "string" ? findPinIn(text) : undefined;
  if (pin === undefined) return [];
  const release = findRelease(pin.id);
  if (release === undefined) {
    const known = allReleases().map(pinOf).join(", ");
    return [
      at(
        path,
        text,
        `a release of the catalog: ${known}`,
        file,
        `correct the id, or add ${fileOf(pin.id)} to releases/catalog.ts`,
      ),
    ];
  }
  const faults: Fault[] = [];
  const hash = shortHash(release);
  if (hash !== pin.hash) {
    const mend = `pin ${pinOf(release)} in ${file}, or check out the commit whose ${fileOf(pin.id)} has ${pin.hash}`;
    faults.push(
      at(path, text, `${pinOf(release)}: ${fileOf(pin.id)} has the content hash ${hash}, not ${pin.hash}`, file, mend),
    );
  }
  for (const { allowed, mend } of publishedFaults(allPublished().filter(({ id }) => id === pin.id)))
    faults.push(at(path, text, allowed, file, mend));
  const open = release.requires.blockers.filter((blocker) => blocker.state === "open");
  if (open.length > 0) {
    const reasons = open.map((blocker) => blocker.title).join("; ");
    faults.push(
      at(
        path,
        text,
        `a release without open blockers; ${release.id} has: ${reasons}`,
        file,
        open.map((blocker) => blocker.mend).join("; "),
      ),
    );
  }
  for (const part of ["vault", "milvus"] as const) {
    if (release[part].isNeeded && pieceOf(environment["present"])[part] === false) {
      const mend = `set present.${part} to true in ${file} and name ${part} in every region`;
      faults.push(at(path, text, `a release that runs without ${part}, because present.${part} is false`, file, mend));
    }
  }
  const { runtime } = environment;
  if ((runtime === "docker" || runtime === "kubernetes") && !release.runtimes.includes(runtime)) {
    faults.push(
      at(path, text, `a release for runtime ${runtime}; ${release.id} runs on ${release.runtimes.join(", ")}`, file),
    );
  }
  const regions = listOf(environment["regions"]).length;
  if (regions > 0 && (regions < release.regions.minimum || regions > release.regions.maximum)) {
    const range = `${release.regions.minimum} to ${release.regions.maximum}`;
    faults.push(at(path, text, `a release for ${regions} region(s); ${release.id} runs in ${range}`, file));
  }
  return faults;
}

function releaseIn(text: unknown): Release | undefined {
  const pin = typeof text === "string" ? findPinIn(text) : undefined;
  return pin === undefined ? undefined : findRelease(pin.id);
}
