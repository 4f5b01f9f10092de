import type { Release } from "../releases/release.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import { releaseDiff } from "./release-diff.ts";

/** What going back brings back, and what it leaves as it is: nobody should be surprised at 03:00. */
export interface Restoration {
  readonly restored: readonly string[];
  readonly notRestored: readonly string[];
}

/** @param waves waves that go back @param sinkMirrors mirrors whose sink is authoritative under a release */
export function restoration(
  from: Release,
  to: Release,
  waves: readonly string[],
  facts: EnvironmentFacts,
  sinkMirrors: (id: string) => readonly string[],
): Restoration {
  const change = releaseDiff(from, to, sinkMirrors);
  const tenants = waves.flatMap((wave) => facts.waves.get(wave) ?? []);
  const born = tenants.filter(({ bornRelease }) => bornRelease === from.id);
  const dropped = ["vault", "milvus"].filter((part) => isNeeded(from, part) && !isNeeded(to, part));
  return {
    restored: [
      `services: ${change.services.map(({ name, to: version }) => `${name} ${version ?? "stops"}`).join(", ") || "the same"}`,
      ...(change.flags.length === 0
        ? []
        : [`flags: ${change.flags.map(({ key, to: isOn }) => `${key} ${isOn ? "on" : "off"}`).join(", ")}`]),
      `routes of ${tenants.length} tenants to ${to.id}`,
      ...change.mirrors.map(({ mirror, to: side }) => dataLine(mirror, side, tenants)),
    ],
    notRestored: [
      ...(change.schema.from === change.schema.expandTo
        ? []
        : [`the schema keeps what ${from.id} added (${change.schema.from ?? "nothing"}); ${to.id} runs with it`]),
      ...dropped.map((part) => `${part} stays, with its keys: a later promotion needs no second set-up`),
      ...(born.length === 0
        ? []
        : [`${born.length} tenants onboarded under ${from.id} stay; their ${to.id} side is built first`]),
      `the fleet of ${from.id} stays up as the way forward`,
      "what people did with the newer release (rows written, tenants onboarded) is kept, not undone",
    ],
  };
}

export function explainRestoration({ restored, notRestored }: Restoration): string {
  const list = (lines: readonly string[]) => lines.map((line) => `  - ${line}`).join("\n");
  return `restored:\n${list(restored)}\nnot restored:\n${list(notRestored)}`;
}

function dataLine(
  mirror: string,
  side: string,
  tenants: readonly { readonly states: readonly { mirror: string; dirty: number }[] }[],
): string {
  const states = tenants.flatMap((tenant) => tenant.states.filter((state) => state.mirror === mirror));
  const dirty = states.reduce((sum, state) => sum + state.dirty, 0);
  return `${mirror}: the ${side} is authoritative again for ${states.length} tenants, every write made since included (${dirty} still to drain)`;
}

function isNeeded(release: Release, part: string): boolean {
  return part === "vault" ? release.vault.isNeeded : release.milvus.isNeeded;
}
