import type { Registry } from "../registry/registry.ts";
import type { RegionTarget, WaveInputs } from "../wave-inputs.ts";
import { untouched } from "../mirror/job.ts";
import { readWhereabouts } from "../tenant-state.ts";
import { readExactly } from "./exact-members.ts";
import { mayFail } from "./failure-budget.ts";
import { moveInLockstep } from "./lockstep.ts";
import type { MigrationNode } from "./node.ts";
import { isPrepared } from "./prepare-node.ts";
import { goesBack, readMembers, type WaveMember, withRegistries } from "./wave-members.ts";
import { isThere, refuseHeld, standingRefusals } from "./wave-refusals.ts";
import { Update } from "./update.ts";
import { cancelledText, isWaveUnfinished, outcomeOf, runWave } from "./wave-run.ts";

/**
 * Flips each tenant of a wave to the pinned release: first in its database, then the route. Forward nobody moves before
 * everybody can but those whom the failure budget covers, and the tenants of several regions move in lockstep; back everybody goes who can, and the others are named.
 */
export const cutoverNode: MigrationNode<WaveInputs> = {
  id: (inputs) => `cutover:${inputs.wave}`,
  refusals: standingRefusals,

  isUnfinished: (inputs) => isWaveUnfinished(inputs, isThere),

  async run(inputs, show, update = new Update()) {
    return withRegistries(inputs, { isReadOnly: false }, async (registries) => {
      await refuseHeld(inputs, registries);
      const members = await readMembers(inputs, registries);
      const waiting = (why: string) => ({
        status: "partial" as const,
        summary: `cutover to ${inputs.release.pin}: ${why}`,
        epoch: `${inputs.release.pin} waiting`,
      });
      if (update.isCancelled) return waiting(cancelledText);
      const unproven = await findUnproven(inputs, registries);
      if (unproven !== undefined) return { ...waiting(unproven), status: "waiting" as const };
      const exact = await readExactly(members, registries);
      const unready = exact.members.filter((member) => !isPrepared(inputs, member)).map(({ tenant }) => tenant.id);
      const notThere = [...exact.unreachable.map(({ tenant }) => tenant), ...unready];
      if (notThere.length > mayFail(inputs, members.length) && !goesBack(inputs))
        return waiting(`waits for prepare, ${notThere.length} of ${members.length} tenants to go, e.g. ${notThere[0]}`);
      const without = [
        ...exact.unreachable,
        ...unready.map((tenant) => untouched(tenant, "partial", "prepare has not ended; run the update again")),
      ];
      const move = (some: readonly WaveMember[]) =>
        runWave("cutover", inputs, some, registries, {
          update,
          ...(show && { show }),
          without,
          onEnd: async ({ tenant, region }, result) => {
            const to = { release: inputs.release.id, pin: inputs.release.pin };
            // A run that ended after its flip has moved the tenant all the same: the route follows the database.
            const at = result.status === "done" ? to : await readWhereabouts(tenant, region).catch(() => undefined);
            if (at?.pin === to.pin) await registries.get(region)?.routes.point([tenant.id], to);
          },
        });
      const isTogether = !goesBack(inputs) && new Set(members.map(({ region }) => region)).size > 1;
      const results = isTogether ? await moveInLockstep(members, { inputs, registries, move }) : await move(members);
      return outcomeOf("cutover", inputs, results);
    });
  },
};

/** Why nobody may move yet although everybody could; undefined: the release's traffic has proven it, or none was asked for. */
async function findUnproven(
  inputs: WaveInputs,
  registries: ReadonlyMap<RegionTarget, Registry>,
): Promise<string | undefined> {
  const { environment, release, traffic } = inputs;
  if (traffic === undefined || traffic.pin !== release.pin || goesBack(inputs)) return undefined;
  const [home] = registries.values();
  const state = await home?.traffic.find(environment);
  const percent = state?.pin === release.pin ? state.percent : 0;
  if (percent > traffic.percent || (percent === traffic.percent && state?.isProven === true)) return undefined;
  const until =
    percent > 0 && state?.waitingUntil !== undefined ? `, waiting until ${state.waitingUntil.toISOString()}` : "";
  return `waits for its traffic, ${percent} of ${traffic.percent} percent${until}`;
}
