import { emptyHead, linkOf, parseEntry } from "./evidence-entry.ts";
import type { EvidenceEntry, EvidenceHead } from "./evidence-entry.ts";

/** A file of a chain as it was found. */
export interface FoundEntry {
  /** Number in its name. */
  readonly number: number;
  readonly text: string;
}

/** Where a chain was seen to end by somebody else: the registry, or a person who wrote it down. */
export interface Anchor extends EvidenceHead {
  readonly by: string;
}

/** A chain that was read and held against itself. */
export interface CheckedChain {
  /** Entries that can be read, oldest first. */
  readonly entries: readonly EvidenceEntry[];
  readonly head: EvidenceHead;
  /** What is wrong with it; empty = nobody can be seen to have touched it. */
  readonly faults: readonly string[];
}

/** Clocks of two machines may differ by this much before an entry counts as written with a clock set back, milliseconds. */
export const clockToleranceMs = 5 * 60_000;

/**
 * Holds a chain against itself and against what others know of it. An edited, removed, inserted or moved entry breaks a link; a chain
 * that was cut short or written anew as a whole is sound in itself and contradicts an anchor. Pure.
 */
export function checkChain(
  found: readonly FoundEntry[],
  { project, environment }: { readonly project: string; readonly environment: string },
  anchors: readonly Anchor[] = [],
): CheckedChain {
  const faults: string[] = [];
  const entries: EvidenceEntry[] = [];
  const links = new Map<number, string>([[0, emptyHead.link]]);
  let before: EvidenceEntry | undefined;
  let last = 0;
  for (const { number, text } of [...found].sort((a, b) => a.number - b.number)) {
    if (number !== last + 1) faults.push(missing(last + 1, number - 1));
    const link = links.get(number - 1);
    links.set(number, linkOf(text));
    last = number;
    const entry = readEntry(text, number, faults);
    if (entry === undefined) {
      before = undefined;
      continue;
    }
    entries.push(entry);
    if (entry.sequence !== number) faults.push(`entry ${number} says that it is entry ${entry.sequence}: it was moved`);
    if (link !== undefined && entry.previous !== link)
      faults.push(`entry ${number} does not continue entry ${number - 1}: one of them was replaced`);
    if (entry.project !== project || entry.environment !== environment)
      faults.push(`entry ${number} is of ${entry.project}/${entry.environment}, not of ${project}/${environment}`);
    if (before !== undefined && Date.parse(entry.at) < Date.parse(before.at) - clockToleranceMs)
      faults.push(
        `entry ${number} is dated ${entry.at}, before entry ${before.sequence} (${before.at}): a clock was set back`,
      );
    before = entry;
  }
  for (const anchor of anchors) faults.push(...anchorFaults(anchor, last, links));
  return { entries, head: { sequence: last, link: links.get(last) ?? emptyHead.link }, faults };
}

function readEntry(text: string, number: number, faults: string[]): EvidenceEntry | undefined {
  try {
    return parseEntry(text);
  } catch (error) {
    faults.push(`entry ${number}: ${(error as Error).message}`);
    return undefined;
  }
}

function anchorFaults({ sequence, link, by }: Anchor, last: number, links: ReadonlyMap<number, string>): string[] {
  if (sequence > last) return [`${by} knows entry ${sequence}, and the chain ends at ${last}: it was cut short`];
  const here = links.get(sequence);
  return here === undefined || here === link
    ? []
    : [`entry ${sequence} is not the one that ${by} knows: it was written anew`];
}

function missing(from: number, to: number): string {
  return from === to ? `entry ${from} is missing` : `entries ${from} to ${to} are missing`;
}
