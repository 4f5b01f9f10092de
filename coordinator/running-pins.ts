import { parsePin } from "../releases/pin.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import type { PinnedState, Pins } from "./history/pinned-state.ts";

/**
 * What may be running: for each wave the newest of what its tenants are routed to, what the last update pinned and what the stack
 * file says. An update that was killed leaves no history, and one that was never started leaves no route; going back
 * must cover both.
 */
export function runningPins(file: Pins, [last]: readonly PinnedState[], facts: EnvironmentFacts): Pins {
  return Object.fromEntries(
    Object.entries(file).map(([wave, pins]) => {
      const routed = (facts.waves.get(wave) ?? []).flatMap(({ pin }) => pin ?? []);
      const candidates = [pins.now, ...(last?.pins[wave] ? [last.pins[wave].now] : []), ...routed];
      const now = candidates.reduce((newest, pin) => (numberOf(pin) > numberOf(newest) ? pin : newest));
      return [wave, { now, back: now === pins.now ? pins.back : "none" }];
    }),
  );
}

function numberOf(pin: string): number {
  return Number.parseInt(parsePin(pin).id.slice(1), 10);
}
