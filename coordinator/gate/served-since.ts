import { isMove } from "../evidence/evidence-entry.ts";
import type { EvidenceEntry } from "../evidence/evidence-entry.ts";
import type { Pins } from "../history/pinned-state.ts";

/** Since when a wave serves a pin without having left it, by the evidence of its environment; undefined: it does not. */
export function servedSince(entries: readonly EvidenceEntry[], wave: string, pin: string): Date | undefined {
  let since: Date | undefined;
  for (const { phase, act, outcome, to, at } of entries) {
    if (phase !== "ended" || !isMove(act)) continue;
    if (to[wave]?.now !== pin) since = undefined;
    else if (outcome === "go") since ??= new Date(at);
  }
  return since;
}

/** Since when a pin is known to work in an environment that has not left it since; undefined: nobody has proven it. */
export function verifiedSince(entries: readonly EvidenceEntry[], pin: string): Date | undefined {
  let since: Date | undefined;
  for (const { phase, act, from, verified, at } of entries) {
    if (phase !== "ended") continue;
    if (act === "rollback" && names(from, pin)) since = undefined;
    if (verified.includes(pin)) since ??= new Date(at);
  }
  return since;
}

function names(pins: Pins, pin: string): boolean {
  return Object.values(pins).some(({ now }) => now === pin);
}
