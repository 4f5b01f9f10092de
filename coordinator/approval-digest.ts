import { createHash } from "node:crypto";
import { canonicalJson } from "../releases/content-hash.ts";
import type { MirrorState } from "../releases/mirror-state.ts";
import type { Release } from "../releases/release.ts";
import type { Pins } from "./history/pinned-state.ts";
import type { ResourceChange } from "./stack-events.ts";

/** What an approver agrees to. */
export interface ReviewedChange {
  readonly from: Pins;
  readonly to: Pins;
  readonly changes: readonly ResourceChange[];
  readonly positions: readonly MirrorState[];
  readonly gates: Release["gates"];
  /** Commit of the program; undefined outside a Git checkout. */
  readonly commit: string | undefined;
}

/**
 * Digest of what was reviewed: pins, resources with operation and changed inputs, positions, gates and program. Counts, bytes
 * and times are left out: they move while people read.
 */
export function approvalDigest({ from, to, changes, positions, gates, commit }: ReviewedChange): string {
  const resources = changes
    .map(({ urn, op, diffs }) => ({ urn, op, diffs: [...diffs].sort() }))
    .sort((a, b) => (a.urn < b.urn ? -1 : a.urn > b.urn ? 1 : 0));
  const places = [...new Set(positions.map(({ mirror, position }) => `${mirror} ${position}`))].sort();
  const reviewed = { from, to, resources, places, gates, commit: commit ?? null };
  return createHash("sha256").update(canonicalJson(reviewed)).digest("hex").slice(0, 16);
}
