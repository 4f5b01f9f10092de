import { z } from "zod";
import { allReleases, fileOf, findRelease } from "./catalog.ts";
import { contentHash } from "./content-hash.ts";
import { FaultReport, explainValue, faultAt, faultsOfIssues } from "./fault.ts";
import type { Fault } from "./fault.ts";
import list from "./published.json" with { type: "json" };
import type { Release } from "./release.ts";
import { closed, releaseId, sha256 } from "./schema.ts";

const file = "releases/published.json";
const publishedSchema = z.array(closed({ id: releaseId, hash: sha256 }), { error: "a list of id and hash" });

/** A release that others may rely on: from now on its content does not change. */
export type Published = z.infer<typeof publishedSchema>[number];

/** `releases/published.json`. @throws {FaultReport} when the file is not a list of ids and hashes */
export function allPublished(): readonly Published[] {
  return parsePublished(list);
}

/** @throws {FaultReport} with every fault of the list */
export function parsePublished(raw: unknown): readonly Published[] {
  const parsed = publishedSchema.safeParse(raw);
  if (parsed.success) return parsed.data;
  throw new FaultReport(file, faultsOfIssues(parsed.error.issues, raw, file));
}

/** Published releases that were edited or removed since; empty = all stand as published. */
export function publishedFaults(published = allPublished(), releases = allReleases()): Fault[] {
  return published.flatMap(({ id, hash }, index) => {
    const release = findRelease(id, releases);
    if (published.findIndex((other) => other.id === id) !== index) {
      return [fault([index, "id"], id, "an id that is published once", `remove the later entry of ${id} from ${file}`)];
    }
    if (release === undefined) {
      return [
        fault(
          [index, "id"],
          id,
          "a release of the catalog",
          `restore ${fileOf(id)}: git checkout main -- ${fileOf(id)}`,
        ),
      ];
    }
    const now = contentHash(release);
    if (now === hash) return [];
    const mend = `give the changed release a new id (copy ${fileOf(id)} to ${fileOf(`${id}b`)}) and restore ${fileOf(id)}: git checkout main -- ${fileOf(id)}`;
    return [
      fault(
        [index, "hash"],
        now,
        `${hash}, the content published as ${id}; ${fileOf(id)} now has the content hash ${now}`,
        mend,
      ),
    ];
  });
}

/** Entries of the main branch's list that this list lost or changed: it is only ever added to, at its end. */
export function appendOnlyFaults(onMain: readonly Published[], here: readonly Published[]): Fault[] {
  return onMain.flatMap((entry, index) => {
    const found = here[index];
    if (found?.id === entry.id && found.hash === entry.hash) return [];
    return [
      fault(
        [index],
        found,
        `${explainValue(entry)}, as on the main branch: the list is append-only`,
        `git checkout main -- ${file}, then add new releases at the end`,
      ),
    ];
  });
}

/**
 * The list with this release added; unchanged when it holds the same content already.
 * @throws {FaultReport} when the id was published with other content, or the release has open blockers
 */
export function publish(published: readonly Published[], release: Release): readonly Published[] {
  const hash = contentHash(release);
  const before = published.find((entry) => entry.id === release.id);
  if (before?.hash === hash) return published;
  const open = release.requires.blockers.filter((blocker) => blocker.state === "open");
  const faults = [
    ...(before === undefined ? [] : publishedFaults([before], [release])),
    ...open.map((blocker) =>
      fault(
        [release.id, "requires.blockers", blocker.id],
        blocker.title,
        "a release without open blockers",
        blocker.mend,
      ),
    ),
  ];
  if (faults.length > 0) throw new FaultReport(`Publishing ${release.id}`, faults);
  return [...published, { id: release.id, hash }];
}

function fault(path: readonly PropertyKey[], seen: unknown, allowed: string, mend: string): Fault {
  return faultAt(path, explainValue(seen), { allowed, mend }, file);
}
