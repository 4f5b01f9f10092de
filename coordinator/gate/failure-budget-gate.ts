import type { Environment } from "../../releases/environment.ts";
import { pinOf } from "../../releases/pin.ts";
import type { Release } from "../../releases/release.ts";
import type { EnvironmentFacts } from "../environment-facts.ts";
import { gate } from "./gate.ts";
import type { Gate } from "./gate.ts";

/** Have enough tenants of the waves that pin the release already arrived? Else the next wave is not begun. */
export function failureBudgetGate(
  { waves, pins, failureBudget: { maxFailedPercent, maxFailures = Infinity } }: Environment,
  to: Release,
  moving: readonly string[],
  facts: EnvironmentFacts,
): Gate {
  const made = {
    id: "failure-budget",
    title: "Few enough tenants of the waves before have failed",
    canOverride: true,
  } as const;
  const pin = pinOf(to);
  const last = waves.findLastIndex(({ name }) => moving.includes(name));
  const before = waves
    .slice(0, Math.max(last, 0))
    .filter(({ name }) => !moving.includes(name) && pins[name]?.now === pin);
  const counted = before.map(({ name }) => {
    const tenants = facts.waves.get(name) ?? [];
    const absent = tenants.filter((tenant) => tenant.pin !== pin);
    return {
      name,
      total: tenants.length,
      absent,
      percent: tenants.length === 0 ? 0 : (absent.length * 100) / tenants.length,
    };
  });
  const spent = counted.filter(({ percent, absent }) => percent > maxFailedPercent || absent.length > maxFailures);
  if (spent.length === 0) {
    const seen = counted.map(({ name, total, absent }) => `wave ${name}: ${absent.length} of ${total} tenants failed`);
    return gate({ ...made, outcome: "go", evidence: seen.join("; ") || "no wave before pins it" });
  }
  const evidence = spent
    .map(({ name, total, absent, percent }) => {
      const names = absent.slice(0, 5).map(({ id }) => id);
      return `wave ${name}: ${absent.length} of ${total} tenants (${names.join(", ")}) are not on ${pin}, ${percent.toFixed(1)} % where ${maxFailedPercent} %${maxFailures === Infinity ? "" : ` and ${maxFailures} tenants`} may fail`;
    })
    .join("; ");
  return gate({
    ...made,
    outcome: "no-go",
    evidence: `${evidence}; go on with them first: coordinator promote ${to.id} --wave ${spent[0]?.name}`,
  });
}
