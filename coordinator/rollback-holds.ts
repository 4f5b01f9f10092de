import type { Registry } from "../migrations/registry/registry.ts";
import type { Environment } from "../releases/environment.ts";
import { parsePin } from "../releases/pin.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import { operatorName } from "./operator.ts";
import { Refusal } from "./outcome.ts";
import type { RollbackPlan } from "./rollback-plan.ts";

/** What a rollback knows when it writes its hold. */
export interface HoldingRollback {
  readonly environment: Environment;
  readonly registry: Registry;
  readonly plan: RollbackPlan;
  readonly facts: EnvironmentFacts;
  readonly options: { readonly reason?: string };
}

/** One hold for all waves, or one for each wave that goes back. */
export async function placeHolds(
  { environment, registry, plan, options }: HoldingRollback,
  leaving: readonly string[],
): Promise<void> {
  if (leaving.length === 0) return;
  const hashes = leaving.map((pin) => parsePin(pin).hash);
  const isAll = plan.waves.length === environment.waves.length;
  const why = options.reason === undefined ? "rollback" : `rollback: ${options.reason}`;
  for (const wave of isAll ? [undefined] : plan.waves)
    await registry.holds.place({ environment: environment.name, wave, hashes, who: operatorName(), why });
}

/** @throws {Refusal} when somebody holds the release that the rollback would go to */
export function refuseHeldTarget({ environment, facts, plan }: HoldingRollback): void {
  const env = environment.name;
  const targets = plan.steps.flatMap((pins) => plan.waves.map((wave) => parsePin(pins[wave]?.now ?? "").hash));
  const holds = facts.holds.filter(
    ({ hashes }) => hashes.length === 0 || hashes.some((hash) => targets.includes(hash)),
  );
  if (holds.length === 0) return;
  throw new Refusal(
    "no-go",
    holds.map(({ who, why, since, hashes }) => {
      const what = hashes.length === 0 ? "everything" : hashes.join(", ");
      return `${env} holds ${what} since ${since.toISOString()} (${who}: ${why}); coordinator promote <release> --env ${env} ends a hold on that release`;
    }),
  );
}
