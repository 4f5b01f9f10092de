import type { Release } from "./release.ts";

/** One item of a release's checklist that no command proves. */
export interface ItemToSign {
  /** Names it in `coordinator sign`: the human gate that it stands for, else the item's own id. */
  readonly id: string;
  readonly text: string;
}

/** The act that waits for an item; null: nothing waits, it is kept for the record. */
export type ItemBefore = "promotion" | "finalize" | null;

const phases: readonly (readonly [phase: keyof Release["checklist"], before: ItemBefore])[] = [
  ["preRelease", "promotion"],
  ["readiness", "promotion"],
  ["testing", "promotion"],
  ["deployment", "finalize"],
  ["postRelease", null],
];

/**
 * Items that a person has to sign, by the act that waits for them: what names no machine's gate and no blocker, and is not the
 * backup, which is looked at; and every gate that a human judges. A gate says itself what it stands before. Pure.
 */
export function itemsToSign(release: Release, before: ItemBefore): ItemToSign[] {
  const { gates, checklist, requires } = release;
  const proven = new Set([
    "backup",
    ...gates.filter(({ judge }) => judge === "machine").map(({ id }) => id),
    ...requires.blockers.map(({ id }) => id),
  ]);
  const human = gates.filter(({ judge }) => judge === "human");
  const listed = phases
    .filter((phase) => phase[1] === before)
    .flatMap(([phase]) => checklist[phase])
    .map(({ id, gate, text }) => ({ id: gate ?? id, text }))
    .filter(({ id }) => !proven.has(id) && !human.some((gate) => gate.id === id));
  const judged = human
    .filter((gate) => (gate.before === "finalize" ? "finalize" : "promotion") === before)
    .map(({ id, title }) => ({ id, text: title }));
  return [...judged, ...listed];
}

/** Every item that a person may sign. */
export function allItemsToSign(release: Release): ItemToSign[] {
  return (["promotion", "finalize", null] as const).flatMap((before) => itemsToSign(release, before));
}
