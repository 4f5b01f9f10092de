import { backupRefusals, closeWindow, dumpBefore } from "../backup/before-mutation.ts";
import { upgradeTo } from "../schema/alembic.ts";
import type { TenantResult } from "../mirror/job.ts";
import type { WaveInputs } from "../wave-inputs.ts";
import type { MigrationNode } from "./node.ts";
import { databaseOf, schemaFailures } from "./prepare-node.ts";
import { readMembers, withRegistries, type WaveMember } from "./wave-members.ts";
import { isThere, refuseHeld, standingRefusals } from "./wave-refusals.ts";
import { Update } from "./update.ts";
import type { ShowLine } from "./wave-progress.ts";
import { cancelledText, isWaveUnfinished, outcomeOf, runWave } from "./wave-run.ts";

/** Takes the mirrors that the stack file names to their end; without names it changes nothing. */
export const finalizeNode: MigrationNode<WaveInputs> = {
  id: (inputs) => `finalize:${inputs.wave}`,
  async refusals(inputs) {
    if (!isNamed(inputs)) return [];
    // What has been taken to its end needs no protection any more: an old proof must not stop other updates.
    const isOpen = await isWaveUnfinished(inputs, isEnded).catch(() => false);
    const unsafe = isOpen ? await backupRefusals(inputs.backup) : [];
    return [...(await standingRefusals(inputs)), ...unsafe.map((reason) => ({ property: "backup", reason }))];
  },

  isUnfinished: async (inputs) => isNamed(inputs) && (await isWaveUnfinished(inputs, isEnded)),

  async run(inputs, show = () => {}, update = new Update()) {
    if (!isNamed(inputs))
      return { status: "done", summary: "finalize: nothing named, the way back is open", epoch: inputs.after ?? "" };
    return withRegistries(inputs, { isReadOnly: false }, async (registries) => {
      await refuseHeld(inputs, registries);
      const members = await readMembers(inputs, registries);
      const elsewhere = members.find((member) => !isThere(inputs, member));
      if (elsewhere !== undefined || update.isCancelled)
        return {
          status: "partial",
          summary: `finalize: ${elsewhere === undefined ? cancelledText : `waits for the cutover, e.g. of ${elsewhere.tenant.id}`}`,
          epoch: inputs.after ?? "",
        };
      // A side is dropped for good: only of those that are not at their end yet.
      const ending = members.filter((member) => !isEnded(inputs, member));
      if (inputs.backup?.kind === "dump" && ending.length > 0)
        show(`dumping ${ending.length} databases before a side of them is dropped`);
      const without = await dumpBefore(inputs, ending);
      const results = await runWave("finalize", inputs, members, registries, {
        update,
        without,
        show,
        afterAll: (ended) => contract(inputs, members, ended, show),
      });
      return outcomeOf("finalize", inputs, results);
    });
  },
};

/**
 * The contract revision, for the tenants whose ledger says `retired`, also when others have failed: the revision itself
 * refuses all others. @returns the results, with those whose schema could not be moved as failed
 */
async function contract(
  inputs: WaveInputs,
  members: readonly WaveMember[],
  ended: readonly TenantResult[],
  show: ShowLine,
): Promise<readonly TenantResult[]> {
  const retired = new Set(
    ended.flatMap(({ tenant, status, positions }) =>
      status === "done" && (inputs.mirrors ?? []).some((name) => positions[name] === "retired") ? [tenant] : [],
    ),
  );
  const among = members.filter(({ tenant }) => retired.has(tenant.id));
  if (among.length > 0)
    show(`schema of ${among.length} databases to the contract revision ${inputs.release.schema.contractTo}`);
  const failures = schemaFailures(among, await upgradeTo(among.map(databaseOf), inputs.release.schema.contractTo));
  const failed = new Map(failures.map((result) => [result.tenant, result]));
  await closeWindow(
    inputs,
    [...retired].filter((tenant) => !failed.has(tenant)),
  );
  return ended.map((result) => failed.get(result.tenant) ?? result);
}

function isNamed(inputs: WaveInputs): boolean {
  return (inputs.mirrors ?? []).length > 0;
}

function isEnded(inputs: WaveInputs, { tenant }: WaveMember): boolean {
  return (inputs.mirrors ?? []).every((name) => {
    const position = tenant.states.find((state) => state.mirror === name)?.position ?? "off";
    return position === (inputs.release.sinkMirrors.includes(name) ? "retired" : "off");
  });
}
