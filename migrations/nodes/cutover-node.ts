import type { WaveInputs } from "../wave-inputs.ts";
import type { MigrationNode } from "./node.ts";
import { isPrepared } from "./prepare-node.ts";
import { isPlatformAbsent, readMembers, withRegistries } from "./wave-members.ts";
import { isThere, waveRefusals } from "./wave-refusals.ts";
import { outcomeOf, refuseFailures, runWave } from "./wave-run.ts";

/** Flips each tenant of a wave to the pinned release: first in its database, then the route. */
export const cutoverNode: MigrationNode<WaveInputs> = {
  id: (inputs) => `cutover:${inputs.wave}`,
  refusals: waveRefusals,

  async isUnfinished(inputs) {
    return withRegistries(inputs, { isReadOnly: true }, async (registries) =>
      (await readMembers(inputs, registries)).some((member) => !isThere(inputs, member)),
    ).catch((error: unknown) => {
      if (isPlatformAbsent(error)) return true;
      throw error;
    });
  },

  async run(inputs) {
    return withRegistries(inputs, { isReadOnly: false }, async (registries) => {
      const members = await readMembers(inputs, registries);
      const unready = members.filter((member) => !isPrepared(inputs, member));
      const [first] = unready;
      if (first !== undefined)
        // A prepare that its deadline ended: nobody of the wave moves before everybody can.
        return {
          status: "partial",
          summary: `cutover to ${inputs.release.pin}: waits for prepare, ${unready.length} of ${members.length} tenants to go, e.g. ${first.tenant.id}`,
          epoch: `${inputs.release.pin} waiting`,
        };
      const results = await runWave("cutover", inputs, members, registries, async (member, result) => {
        if (result.status !== "done") return;
        const to = { release: inputs.release.id, pin: inputs.release.pin };
        await registries.get(member.region)?.routes.point([member.tenant.id], to);
      });
      refuseFailures("cutover", inputs, results);
      return outcomeOf("cutover", inputs, results);
    });
  },
};
