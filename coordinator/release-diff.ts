import { findRelease, getRelease, sinkMirrorsOf } from "../releases/catalog.ts";
import { parsePin } from "../releases/pin.ts";
import type { Release } from "../releases/release.ts";
import type { Pins } from "./history/pinned-state.ts";

/** What changes for the platform between two releases, before any resource is looked at. */
export interface ReleaseDiff {
  readonly from: string | undefined;
  readonly to: string;
  readonly services: readonly { readonly name: string; readonly from: string | null; readonly to: string | null }[];
  readonly schema: { readonly from: string | null; readonly expandTo: string; readonly contractTo: string };
  readonly flags: readonly { readonly key: string; readonly from: boolean; readonly to: boolean }[];
  /** Mirrors whose authority moves, and to which side. */
  readonly mirrors: readonly { readonly mirror: string; readonly to: "source" | "sink" }[];
}

/**
 * @param from what runs; undefined for a first update
 * @param sinkMirrors mirrors whose sink is authoritative under a release, older releases' included
 */
export function releaseDiff(
  from: Release | undefined,
  to: Release,
  sinkMirrors: (id: string) => readonly string[],
): ReleaseDiff {
  const before = from ? sinkMirrors(from.id) : [];
  const after = sinkMirrors(to.id);
  return {
    from: from?.id,
    to: to.id,
    services: serviceChanges(from, to),
    schema: { from: from?.schema.expandTo ?? null, expandTo: to.schema.expandTo, contractTo: to.schema.contractTo },
    flags: flagChanges(from, to),
    mirrors: [
      ...after.filter((mirror) => !before.includes(mirror)).map((mirror) => ({ mirror, to: "sink" as const })),
      ...before.filter((mirror) => !after.includes(mirror)).map((mirror) => ({ mirror, to: "source" as const })),
    ],
  };
}

/** Waves that make the same move, with what it changes. */
export interface PinMove {
  readonly waves: readonly string[];
  /** undefined: the first update. */
  readonly fromPin: string | undefined;
  readonly toPin: string;
  readonly diff: ReleaseDiff;
}

/** One release diff for all waves that make the same move. */
export function movesOf(from: Pins, to: Pins): PinMove[] {
  const groups = new Map<string, string[]>();
  for (const [wave, { now }] of Object.entries(to)) {
    const key = `${from[wave]?.now ?? ""} ${now}`;
    if (from[wave]?.now !== now) groups.set(key, [...(groups.get(key) ?? []), wave]);
  }
  return [...groups].map(([key, waves]) => {
    const [before = "", after = ""] = key.split(" ");
    const old = before === "" ? undefined : findRelease(parsePin(before).id);
    const fromPin = before === "" ? undefined : before;
    return { waves, fromPin, toPin: after, diff: releaseDiff(old, getRelease(parsePin(after).id), sinkMirrorsOf) };
  });
}

function serviceChanges(from: Release | undefined, to: Release): ReleaseDiff["services"] {
  const versions = (release: Release | undefined) =>
    new Map((release?.services ?? []).map(({ name, version }) => [name, version]));
  const before = versions(from);
  const after = versions(to);
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names]
    .map((name) => ({ name, from: before.get(name) ?? null, to: after.get(name) ?? null }))
    .filter((change) => change.from !== change.to);
}

/** A flag that a release does not name is off under it. */
function flagChanges(from: Release | undefined, to: Release): ReleaseDiff["flags"] {
  const wishes = (release: Release | undefined) => new Map((release?.flags ?? []).map(({ key, isOn }) => [key, isOn]));
  const before = wishes(from);
  const after = wishes(to);
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((key) => ({ key, from: before.get(key) ?? false, to: after.get(key) ?? false }))
    .filter((change) => change.from !== change.to);
}

/** Lines for people; one that says so when nothing changes. */
export function explainReleaseDiff(diff: ReleaseDiff): string {
  const lines = [
    ...diff.services.map(({ name, from, to }) => `  service  ${name}: ${from ?? "absent"} -> ${to ?? "absent"}`),
    ...(diff.schema.from === diff.schema.expandTo
      ? []
      : [
          `  schema   ${diff.schema.from ?? "none"} -> ${diff.schema.expandTo} (contract to ${diff.schema.contractTo} at finalize)`,
        ]),
    ...diff.flags.map(({ key, to }) => `  flag     ${key}: ${to ? "off -> on" : "on -> off"}`),
    ...diff.mirrors.map(({ mirror, to }) => `  data     ${mirror}: authority moves to the ${to}`),
  ];
  const head = `${diff.from ?? "nothing"} -> ${diff.to}`;
  return lines.length === 0 ? `${head}: nothing in the release changes` : [head, ...lines].join("\n");
}
