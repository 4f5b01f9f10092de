import { allMirrors, allReleases } from "./catalog.ts";
import { pinFaults } from "./environment-pin-checks.ts";
import type { Fault } from "./fault.ts";
import { at, isPiece, listOf, pieceOf } from "./piece.ts";
import type { Piece } from "./piece.ts";
import { isCalendarDate } from "./schema.ts";

const selectorWays = ["ids", "tags", "percentage", "rest"];

/**
 * Faults between fields. They read the raw object, field by field, so that a fault in one field never hides one in another.
 */
export function crossFaults(raw: unknown, file: string): Fault[] {
  const environment = pieceOf(raw);
  return [
    ...runtimeFaults(environment, file),
    ...partFaults(environment, file),
    ...waveFaults(environment, file),
    ...pinFaults(environment, file),
    ...finalizeFaults(environment, file),
    ...leavingFaults(environment, file),
    ...repeatedFaults("tenants", "id", environment, file),
    ...repeatedFaults("regions", "name", environment, file),
    ...repeatedFaults("residency", "tag", environment, file),
    ...homeFaults(environment, file),
    ...plannedFaults(environment, file),
    ...trafficFaults(environment, file),
  ];
}

/** Residency and seed tenants speak of regions of this file. */
function homeFaults(environment: Piece, file: string): Fault[] {
  const known = listOf(environment["regions"]).map((region) => pieceOf(region)["name"]);
  const fault = (path: readonly PropertyKey[], name: unknown): Fault[] =>
    typeof name !== "string" || known.includes(name)
      ? []
      : [at(path, name, `a region of this file: ${known.join(", ")}`, file)];
  return [
    ...listOf(environment["residency"]).flatMap((rule, index) =>
      listOf(pieceOf(rule)["regions"]).flatMap((name, place) => fault(["residency", index, "regions", place], name)),
    ),
    ...listOf(environment["tenants"]).flatMap((tenant, index) =>
      fault(["tenants", index, "region"], pieceOf(tenant)["region"]),
    ),
  ];
}

function runtimeFaults(environment: Piece, file: string): Fault[] {
  const regions = listOf(environment["regions"]);
  if (environment["runtime"] === "docker") {
    const mend = `keep one region in ${file}, or set runtime to kubernetes and give each region a cluster`;
    return [
      ...(environment["docker"] === undefined
        ? [at(["docker"], undefined, "host and basePort, because runtime is docker", file)]
        : []),
      ...(regions.length > 1
        ? [at(["regions"], `${regions.length} regions`, "one region: runtime docker is one host", file, mend)]
        : []),
    ];
  }
  if (environment["runtime"] !== "kubernetes") return [];
  return listOf(environment["regions"]).flatMap((region, index) =>
    pieceOf(region)["cluster"] === undefined
      ? [at(["regions", index, "cluster"], undefined, "the cluster's context, because runtime is kubernetes", file)]
      : [],
  );
}

/** Steps of traffic are judged by metrics, and routes of the Gateway API stand in clusters. */
function trafficFaults(environment: Piece, file: string): Fault[] {
  if (!isPiece(environment["traffic"])) return [];
  const isInCluster = environment["traffic"]["kind"] === "gateway-api" && environment["runtime"] === "docker";
  return [
    ...(environment["metrics"] === undefined
      ? [at(["metrics"], undefined, "the url of Prometheus, because traffic comes in steps that gates judge", file)]
      : []),
    ...(isInCluster ? [at(["traffic", "kind"], "gateway-api", "registry, because runtime is docker", file)] : []),
  ];
}

/** What is present must be reachable in every region. */
function partFaults(environment: Piece, file: string): Fault[] {
  const present = pieceOf(environment["present"]);
  return ["vault", "milvus"]
    .filter((part) => present[part] === true)
    .flatMap((part) =>
      listOf(environment["regions"]).flatMap((region, index) =>
        pieceOf(region)[part] === undefined
          ? [at(["regions", index, part], undefined, `the address of ${part}, because present.${part} is true`, file)]
          : [],
      ),
    );
}

function waveFaults(environment: Piece, file: string): Fault[] {
  const waves = listOf(environment["waves"]).map(pieceOf);
  const pins = pieceOf(environment["pins"]);
  const names = waves.map((wave) => wave["name"]);
  const faults = repeatedFaults("waves", "name", environment, file);
  for (const [index, wave] of waves.entries()) {
    const ways = Object.keys(pieceOf(wave["selector"]));
    const path = ["waves", index, "selector"];
    if (isPiece(wave["selector"]) && ways.length !== 1 && ways.every((way) => selectorWays.includes(way))) {
      faults.push(at(path, wave["selector"], "exactly one of ids, tags, percentage, rest", file));
    }
    if (ways.includes("rest") && index < waves.length - 1) {
      faults.push(at(path, wave["selector"], "rest in the last wave only, for nobody is left after it", file));
    }
  }
  const last = pieceOf(waves.at(-1));
  if (
    isPiece(last["selector"]) &&
    last["selector"]["rest"] === undefined &&
    Object.keys(last["selector"]).length === 1
  ) {
    const mend = `add { name: general, selector: { rest: true } } as the last wave in ${file}`;
    faults.push(
      at(
        ["waves"],
        names.at(-1),
        "a last wave with the selector rest: true, or tenants stay without a wave",
        file,
        mend,
      ),
    );
  }
  const share = waves.reduce((sum, wave) => sum + numberIn(pieceOf(wave["selector"])["percentage"]), 0);
  if (share > 100) faults.push(at(["waves"], `${share} percent`, "percentages that sum to at most 100", file));
  for (const name of new Set(names)) {
    if (typeof name === "string" && isPiece(environment["pins"]) && !Object.hasOwn(pins, name)) {
      faults.push(at(["pins", name], undefined, "now and back of every wave", file));
    }
  }
  return faults;
}

function finalizeFaults(environment: Piece, file: string): Fault[] {
  const names = listOf(environment["waves"]).map((wave) => pieceOf(wave)["name"]);
  const known = allMirrors();
  return Object.entries(pieceOf(environment["finalize"])).flatMap(([wave, mirrors]) => [
    ...(names.includes(wave)
      ? []
      : [at(["finalize", wave], mirrors, `a wave of this file: ${names.join(", ")}`, file)]),
    ...listOf(mirrors).flatMap((mirror, index) =>
      typeof mirror === "string" && !known.includes(mirror)
        ? [at(["finalize", wave, index], mirror, `a mirror that a release moves: ${known.join(", ")}`, file)]
        : [],
    ),
  ]);
}

/** What leaves must still be there: protection is taken off before a part is taken out. */
function leavingFaults(environment: Piece, file: string): Fault[] {
  const present = pieceOf(environment["present"]);
  const waves = listOf(environment["waves"]).map((wave) => pieceOf(wave)["name"]);
  const known = [...["vault", "milvus"].filter((part) => present[part] === true), ...waves];
  return listOf(environment["leaving"]).flatMap((name, index) =>
    typeof name !== "string" || known.includes(name)
      ? []
      : [at(["leaving", index], name, `a part that is present, or a wave of this file: ${known.join(", ")}`, file)],
  );
}

function plannedFaults(environment: Piece, file: string): Fault[] {
  const planned = pieceOf(environment["planned"]);
  const known = allReleases().map((release) => release.id);
  const unknown = Object.keys(planned)
    .filter((id) => /^r\d+[a-z]?$/.test(id) && !known.includes(id))
    .map((id) => at(["planned", id], planned[id], `a release of the catalog: ${known.join(", ")}`, file));
  const dates = known.filter((id) => isCalendarDate(planned[id]));
  const late = dates.flatMap((id, index) => {
    const before = dates[index - 1];
    if (before === undefined || String(planned[id]) >= String(planned[before])) return [];
    return [at(["planned", id], planned[id], `not before ${before}, planned for ${String(planned[before])}`, file)];
  });
  return [...unknown, ...late];
}

function repeatedFaults(list: string, key: string, environment: Piece, file: string): Fault[] {
  const values = listOf(environment[list]).map((item) => pieceOf(item)[key]);
  return values.flatMap((value, index) => {
    const first = values.indexOf(value);
    if (value === undefined || first === index) return [];
    return [at([list, index, key], value, `one that no other has; ${list}.${first}.${key} is the same`, file)];
  });
}

function numberIn(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
