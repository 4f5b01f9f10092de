import semver from "semver";
import { compatibility } from "./compatibility.ts";
import { explainValue, faultAt } from "./fault.ts";
import type { Fault } from "./fault.ts";
import type { Release } from "./release.ts";
import { trafficFaults } from "./traffic.ts";

/** Faults inside and between releases that each pass the schema; `releases` is the catalog, oldest first. */
export function faultsOfCatalog(releases: readonly Release[]): Fault[] {
  return releases.flatMap((release, index) => {
    const older = releases.slice(0, index);
    return [
      ...place(release, older),
      ...neighbours(release, older),
      ...revisions(release, older),
      ...mirrors(release, older),
      ...services(release),
      ...checklistGates(release),
      ...trafficFaults(release),
    ];
  });
}

function place(release: Release, older: readonly Release[]): Fault[] {
  const last = older.at(-1);
  const faults: Fault[] = [];
  if (older.some((other) => other.id === release.id)) {
    faults.push(fault(release, "id", release.id, "an id that no other release has", `give one of them a new id`));
  }
  if (last !== undefined && !semver.gt(release.version, last.version)) {
    faults.push(
      fault(
        release,
        "version",
        release.version,
        `a version above ${last.version} of ${last.id}`,
        "raise the version or reorder the catalog",
      ),
    );
  }
  if (release.regions.minimum > release.regions.maximum) {
    faults.push(
      fault(
        release,
        "regions",
        release.regions,
        "a minimum that is not above the maximum",
        "swap or correct the two numbers",
      ),
    );
  }
  return faults;
}

/** Releases are taken one at a time: a release may follow its direct neighbour, or an earlier edition of itself (r2b after r2). */
function neighbours(release: Release, older: readonly Release[]): Fault[] {
  const allowed = older.map((other) => other.id).filter((id) => [0, 1].includes(stepOf(release.id) - stepOf(id)));
  const strangers = release.requires.releases
    .filter((id) => !allowed.includes(id))
    .map((id) =>
      fault(
        release,
        "requires.releases",
        id,
        allowed.join(", ") || "nothing: it is the first",
        "name only the neighbour before it",
      ),
    );
  if (strangers.length === 0 && older.length > 0 && release.requires.releases.length === 0) {
    return [fault(release, "requires.releases", [], allowed.join(", "), "name the release it follows")];
  }
  return strangers;
}

function revisions(release: Release, older: readonly Release[]): Fault[] {
  const { expandTo, contractTo, oldestOn } = release.schema;
  const floor = older.at(-1)?.schema.contractTo ?? "0000";
  const known = [...older.map((other) => other.id), release.id];
  const faults: Fault[] = [];
  if (expandTo < floor) {
    faults.push(
      fault(release, "schema.expandTo", expandTo, `revision ${floor} or later`, "Alembic's line only goes on"),
    );
  }
  if (contractTo < expandTo) {
    faults.push(
      fault(release, "schema.contractTo", contractTo, `revision ${expandTo} or later`, "contract after expanding"),
    );
  }
  for (const [kind, id] of Object.entries(oldestOn)) {
    if (!known.includes(id)) {
      faults.push(fault(release, `schema.oldestOn.${kind}`, id, known.join(", "), "name this release or an older one"));
    }
  }
  if (known.includes(oldestOn.expand) && known.indexOf(oldestOn.contract) < known.indexOf(oldestOn.expand)) {
    faults.push(
      fault(
        release,
        "schema.oldestOn.contract",
        oldestOn.contract,
        `${oldestOn.expand} or newer`,
        "contracting never widens what runs",
      ),
    );
  }
  return faults;
}

function mirrors(release: Release, older: readonly Release[]): Fault[] {
  return release.data.flatMap((move) => {
    const owner = older.find((other) => other.data.some((earlier) => earlier.mirror === move.mirror));
    if (owner === undefined) return [];
    return [
      fault(
        release,
        "data",
        move.mirror,
        "a mirror that no older release moves",
        `${owner.id} moved it: give the new mirror a name of its own`,
      ),
    ];
  });
}

function services(release: Release): Fault[] {
  const isPlanned = release.requires.blockers.some((blocker) => blocker.state === "open");
  const unbuilt = release.services
    .filter((service) => service.kind === "container" && service.source === null && !isPlanned)
    .map((service) =>
      fault(
        release,
        `services.${service.name}.source`,
        null,
        "the sha256 of its source folder",
        "build the images, or state an open blocker",
      ),
    );
  const clashes = compatibility(release.services).reasons.map((reason) =>
    fault(release, "services", reason, "services that work together", "see the reason"),
  );
  return [...unbuilt, ...clashes];
}

function checklistGates(release: Release): Fault[] {
  const gates = release.gates.map((gate) => gate.id);
  return Object.entries(release.checklist).flatMap(([part, items]) =>
    items
      .filter((item) => item.gate !== undefined && !gates.includes(item.gate))
      .map((item) =>
        fault(
          release,
          `checklist.${part}.${item.id}`,
          item.gate,
          `a gate of the release: ${gates.join(", ")}`,
          "name a gate or define it",
        ),
      ),
  );
}

/** 2 for `r2` and for `r2b`. */
function stepOf(id: string): number {
  return Number.parseInt(id.slice(1), 10);
}

function fault(release: Release, path: string, seen: unknown, allowed: string, mend: string): Fault {
  return faultAt(
    [release.id, path],
    explainValue(seen),
    { allowed, mend: `${mend} (releases/${release.id}.ts)` },
    release.id,
  );
}
