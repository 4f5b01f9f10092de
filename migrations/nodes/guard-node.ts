import type { GuardInputs } from "../guard.ts";
import { findAgeFault, programHere } from "../program-age.ts";
import type { RecordedProgram } from "../registry/programs.ts";
import type { WaveInputs } from "../wave-inputs.ts";
import type { MigrationNode } from "./node.ts";
import { withRegistries } from "./wave-members.ts";
import { waveRefusals } from "./wave-refusals.ts";

/** Refuses for the whole environment what any of its waves must not do; runs nothing. */
export const guardNode: MigrationNode<GuardInputs> = {
  id: (inputs) => `guard:${inputs.environment}`,

  async refusals(inputs, before) {
    const old = await ageFault(inputs);
    // An older program misreads what a newer one has left: its other reasons would be guesses.
    if (old !== undefined) return [{ property: wholeResource, reason: old }];
    const found = await Promise.all(inputs.waves.map((wave) => waveRefusals(waveInputs(inputs, wave))));
    // What concerns the environment is said once, not once a wave.
    const reasons = new Set([...departures(inputs, before), ...found.flat().map(({ reason }) => reason)]);
    return [...reasons].map((reason) => ({ property: wholeResource, reason }));
  },

  async run(inputs) {
    const pins = inputs.waves.map(({ name, release }) => `${name} ${release.pin}`).join(", ");
    return { status: "done", summary: `nothing is refused: ${pins}`, epoch: pins };
  },
};

/**
 * What was there at the last update, is not any more, and is protected. Pulumi would refuse it last of all, and advise to take
 * the protection off by hand.
 */
function departures(inputs: GuardInputs, before: Partial<GuardInputs>): string[] {
  const { environment } = inputs;
  const present = new Set(inputs.waves.map(({ name }) => name));
  const gone = (before.waves ?? []).map(({ name }) => name).filter((name) => !present.has(name));
  const hasVault = ({ regions }: Partial<GuardInputs>) =>
    regions?.some(({ vaultAddress }) => vaultAddress !== undefined) === true;
  const parts = hasVault(before) && !hasVault(inputs) ? ["vault"] : [];
  return [...gone.map((name) => [`wave ${name}`, name]), ...parts.map((name) => [name, name])].flatMap(
    ([what, name]) =>
      name === undefined || before.leaving?.includes(name) === true
        ? []
        : [
            `${environment}: ${what} is protected and the stack file does not name it any more; put it back, ` +
              `or let it leave once no tenant needs it: coordinator decommission ${name} --env ${environment}`,
          ],
  );
}

function waveInputs(inputs: GuardInputs, wave: GuardInputs["waves"][number]): WaveInputs {
  return {
    kind: "prepare",
    environment: inputs.environment,
    wave: wave.name,
    waves: inputs.waves.map(({ name, selector }) => ({ name, selector })),
    regions: inputs.regions,
    ...(inputs.residency === undefined ? {} : { residency: inputs.residency }),
    release: wave.release,
    ...(wave.back === undefined ? {} : { back: wave.back }),
    releaseRoles: inputs.releaseRoles,
    deadlineSeconds: 0,
    concurrency: 1,
  };
}

/** Beside the name of an input Pulumi would print all of its value, and hide the reason behind it. */
const wholeResource = "";

async function ageFault(inputs: GuardInputs): Promise<string | undefined> {
  let last: RecordedProgram | undefined;
  try {
    last = await withRegistries(inputs, { isReadOnly: true }, async (registries) => {
      const [home] = registries.values();
      return home?.programs.find(inputs.environment);
    });
  } catch {
    // No program was recorded in this registry yet; one that cannot be read is refused by the waves, with the reason.
    return undefined;
  }
  return findAgeFault(inputs.environment, await programHere(inputs.releases), last);
}
