import { createHash } from "node:crypto";
import { canonicalJson } from "../../releases/content-hash.ts";
import { getPinned, numberOf } from "../../releases/catalog.ts";
import type { MirrorState } from "../../releases/mirror-state.ts";
import { parsePin } from "../../releases/pin.ts";
import type { Release } from "../../releases/release.ts";
import type { Pins } from "../history/pinned-state.ts";
import type { ResourceChange } from "../stack-events.ts";
import type { StackFile } from "../stack-file.ts";

/** What an approver agrees to. Everybody who shows, signs or applies a change reads it in this one way. */
export interface ReviewedChange {
  /** What the last good update of this environment pinned, from the stack's history; `{}` before the first one. */
  readonly from: Pins;
  /** The stack file as it would be applied. */
  readonly file: StackFile;
  readonly changes: readonly ResourceChange[];
  readonly positions: readonly MirrorState[];
  /** Commit of the program; undefined outside a Git checkout. */
  readonly commit: string | undefined;
}

/** What the digest is over, as plain data: whoever has it can hold a digest against it. */
export interface ReviewedScope {
  readonly from: Pins;
  readonly to: Pins;
  readonly finalize: Readonly<Record<string, readonly string[]>>;
  readonly resources: readonly Pick<ResourceChange, "urn" | "op" | "diffs">[];
  /** `<mirror> <position>` of every tenant, each once. */
  readonly places: readonly string[];
  readonly gates: Release["gates"];
  readonly commit: string | null;
}

/**
 * What was reviewed: pins from history to file, mirrors to finalize, resources with operation and changed inputs,
 * positions, gates and program. Counts, bytes and times are left out: they move while people read. A pin that was merged
 * before and one that `promote` writes give the same scope, since neither the file before nor Git says what ran.
 */
export function reviewedScope({ from, file, changes, positions, commit }: ReviewedChange): ReviewedScope {
  const resources = changes
    .map(({ urn, op, diffs }) => ({ urn, op, diffs: [...diffs].sort() }))
    .sort((a, b) => (a.urn < b.urn ? -1 : a.urn > b.urn ? 1 : 0));
  const places = [...new Set(positions.map(({ mirror, position }) => `${mirror} ${position}`))].sort();
  const to = file.pins();
  const finalize = Object.fromEntries(Object.entries(file.finalize()).map(([wave, all]) => [wave, [...all].sort()]));
  const { gates } = newestRelease(to);
  return { from, to, finalize, resources, places, gates, commit: commit ?? null };
}

/** 16 hexadecimal digits that stand for a scope. */
export function digestOf(scope: ReviewedScope): string {
  return createHash("sha256").update(canonicalJson(scope)).digest("hex").slice(0, 16);
}

/** Digest of what was reviewed. */
export function approvalDigest(change: ReviewedChange): string {
  return digestOf(reviewedScope(change));
}

/** The newest release that any wave pins: its gates are asked, and it is the one that people approve. */
export function newestRelease(pins: Pins): Release {
  const releases = Object.values(pins).map(({ now }) => getPinned(parsePin(now)));
  const [first, ...others] = releases;
  if (first === undefined) throw new Error("the stack file pins nothing; add pins.<wave> to it");
  return others.reduce((newest, each) => (numberOf(each.id) > numberOf(newest.id) ? each : newest), first);
}
