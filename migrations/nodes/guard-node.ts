import type { GuardInputs } from "../guard.ts";
import { findAgeFault, programHere } from "../program-age.ts";
import type { RecordedProgram } from "../registry/programs.ts";
import type { WaveInputs } from "../wave-inputs.ts";
import type { MigrationNode, Refusal } from "./node.ts";
import { isPlatformAbsent, withRegistries } from "./wave-members.ts";
import { waveRefusals } from "./wave-refusals.ts";

/** Refuses for the whole environment what any of its waves must not do; runs nothing. */
export const guardNode: MigrationNode<GuardInputs> = {
  id: (inputs) => `guard:${inputs.environment}`,

  async refusals(inputs) {
    const old = await ageRefusals(inputs);
    // An older program misreads what a newer one has left: its other reasons would be guesses.
    if (old.length > 0) return old;
    const found = await Promise.all(inputs.waves.map((wave) => waveRefusals(waveInputs(inputs, wave))));
    // What concerns the environment is said once, not once a wave.
    return [...new Map(found.flat().map((refusal) => [refusal.reason, refusal])).values()];
  },

  async run(inputs) {
    const pins = inputs.waves.map(({ name, release }) => `${name} ${release.pin}`).join(", ");
    return { status: "done", summary: `nothing is refused: ${pins}`, epoch: pins };
  },
};

function waveInputs(inputs: GuardInputs, wave: GuardInputs["waves"][number]): WaveInputs {
  return {
    kind: "prepare",
    environment: inputs.environment,
    wave: wave.name,
    waves: inputs.waves.map(({ name, selector }) => ({ name, selector })),
    regions: inputs.regions,
    release: wave.release,
    ...(wave.back === undefined ? {} : { back: wave.back }),
    releaseRoles: inputs.releaseRoles,
    deadlineSeconds: 0,
    concurrency: 1,
  };
}

async function ageRefusals(inputs: GuardInputs): Promise<Refusal[]> {
  let last: RecordedProgram | undefined;
  try {
    last = await withRegistries(inputs, { isReadOnly: true }, async (registries) => {
      const [home] = registries.values();
      return home?.programs.find(inputs.environment);
    });
  } catch (error) {
    // A registry that no program has been recorded in; one that does not answer is refused by the waves.
    if (isPlatformAbsent(error)) return [];
    return [{ property: "regions", reason: (error as Error).message }];
  }
  const fault = await findAgeFault(inputs.environment, await programHere(inputs.releases), last);
  return fault === undefined ? [] : [{ property: "releases", reason: fault }];
}
