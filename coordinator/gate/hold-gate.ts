import type { Hold } from "../../migrations/registry/holds.ts";
import { pinOf } from "../../releases/pin.ts";
import type { Release } from "../../releases/release.ts";
import { gate } from "./gate.ts";
import type { Gate } from "./gate.ts";

/** Holds that forbid a release in some of these waves. */
export function holdsAgainst(holds: readonly Hold[], to: Release, waves: readonly string[]): Hold[] {
  return holds.filter(
    ({ hashes, wave }) =>
      (hashes.length === 0 || hashes.some((hash) => pinOf(to).endsWith(`@${hash}`))) &&
      (wave === undefined || waves.includes(wave)),
  );
}

export function explainHold({ environment, wave, since, who, why }: Hold): string {
  return `${environment}${wave === undefined ? "" : ` (wave ${wave})`} is held since ${since.toISOString()} (${who}: ${why})`;
}

/** Does somebody hold the release? A promotion that a person types lifts it. */
export function holdGate(holds: readonly Hold[], to: Release, waves: readonly string[]): Gate {
  const made = { id: "hold", title: "Nobody holds it" } as const;
  const against = holdsAgainst(holds, to, waves);
  if (against.length === 0) return gate({ ...made, outcome: "go", evidence: "no hold is in force" });
  const evidence = `${against.map(explainHold).join("; ")}; coordinator promote lifts it by name`;
  return gate({ ...made, outcome: "needs-human", evidence });
}
