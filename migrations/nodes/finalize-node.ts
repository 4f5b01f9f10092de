import { upgradeTo } from "../schema/alembic.ts";
import type { WaveInputs } from "../wave-inputs.ts";
import type { MigrationNode } from "./node.ts";
import { databaseOf, refuseSchema } from "./prepare-node.ts";
import { isPlatformAbsent, readMembers, withRegistries, type WaveMember } from "./wave-members.ts";
import { isThere, waveRefusals } from "./wave-refusals.ts";
import { outcomeOf, refuseFailures, runWave } from "./wave-run.ts";

/** Takes the mirrors that the stack file names to their end; without names it changes nothing. */
export const finalizeNode: MigrationNode<WaveInputs> = {
  id: (inputs) => `finalize:${inputs.wave}`,
  refusals: (inputs) => (isNamed(inputs) ? waveRefusals(inputs) : Promise.resolve([])),

  async isUnfinished(inputs) {
    if (!isNamed(inputs)) return false;
    return withRegistries(inputs, { isReadOnly: true }, async (registries) =>
      (await readMembers(inputs, registries)).some((member) => !isEnded(inputs, member)),
    ).catch((error: unknown) => {
      if (isPlatformAbsent(error)) return true;
      throw error;
    });
  },

  async run(inputs) {
    if (!isNamed(inputs))
      return { status: "done", summary: "finalize: nothing named, the way back is open", epoch: inputs.after ?? "" };
    return withRegistries(inputs, { isReadOnly: false }, async (registries) => {
      const members = await readMembers(inputs, registries);
      const elsewhere = members.find((member) => !isThere(inputs, member));
      if (elsewhere !== undefined)
        return {
          status: "partial",
          summary: `finalize: waits for the cutover, e.g. of ${elsewhere.tenant.id}`,
          epoch: inputs.after ?? "",
        };
      const results = await runWave("finalize", inputs, members, registries);
      refuseFailures("finalize", inputs, results);
      // Only tenants whose ledger says `retired` lose the tables: the revision itself refuses all others.
      const retired = results.filter((result) =>
        (inputs.mirrors ?? []).some((name) => result.positions[name] === "retired"),
      );
      const ids = new Set(retired.map((result) => result.tenant));
      const databases = members.filter((member) => ids.has(member.tenant.id)).map(databaseOf);
      refuseSchema(await upgradeTo(databases, inputs.release.schema.contractTo));
      return outcomeOf("finalize", inputs, results);
    });
  },
};

function isNamed(inputs: WaveInputs): boolean {
  return (inputs.mirrors ?? []).length > 0;
}

function isEnded(inputs: WaveInputs, { tenant }: WaveMember): boolean {
  return (inputs.mirrors ?? []).every((name) => {
    const position = tenant.states.find((state) => state.mirror === name)?.position ?? "off";
    return position === (inputs.release.sinkMirrors.includes(name) ? "retired" : "off");
  });
}
