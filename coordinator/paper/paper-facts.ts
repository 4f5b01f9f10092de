import type { Environment } from "../../releases/environment.ts";
import { getPinned } from "../../releases/catalog.ts";
import { parsePin } from "../../releases/pin.ts";
import type { Release } from "../../releases/release.ts";
import type { EnvironmentFacts } from "../environment-facts.ts";
import type { EvidenceEntry } from "../evidence/evidence-entry.ts";
import type { Gate } from "../gate/gate.ts";
import type { WaveMigration } from "../report/wave-migration.ts";
import type { WayBack } from "../way-back.ts";

/** What every paper is rendered from. Reading it again gives the same paper again. */
export interface PaperFacts {
  readonly environment: Environment;
  /** The release that the paper is about. */
  readonly to: Release;
  readonly facts: EnvironmentFacts;
  readonly gates: readonly Gate[];
  /** As if every wave were promoted; empty when nobody could count. */
  readonly migrations: readonly WaveMigration[];
  /** After the release has run everywhere. */
  readonly waysBack: readonly WayBack[];
  readonly entries: readonly EvidenceEntry[];
  /** What could not be read, and why. */
  readonly unseen: readonly string[];
  readonly now: Date;
}

/** Waves that pin something else. */
export function movingWaves({ environment, to }: PaperFacts): { readonly wave: string; readonly from: Release }[] {
  return environment.waves.flatMap(({ name }) => {
    const from = getPinned(parsePin(environment.pins[name]?.now ?? ""));
    return from.id === to.id ? [] : [{ wave: name, from }];
  });
}
