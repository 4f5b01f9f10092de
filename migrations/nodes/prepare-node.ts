import { aboutToBuild, dumpBefore } from "../backup/before-mutation.ts";
import { isMirrored, type Position } from "../ledger/position.ts";
import { resolveReference } from "../reference.ts";
import { downgradeTo, upgradeTo, type SchemaResult } from "../schema/alembic.ts";
import { databaseUrl } from "../schema/database-url.ts";
import type { WaveInputs } from "../wave-inputs.ts";
import type { MigrationNode } from "./node.ts";
import { type TenantResult, untouched } from "../mirror/job.ts";
import { readExactly } from "./exact-members.ts";
import { goesBack, readMembers, withRegistries, type WaveMember } from "./wave-members.ts";
import { isThere, refuseHeld, standingRefusals } from "./wave-refusals.ts";
import { Update } from "./update.ts";
import { cancelledText, isWaveUnfinished, outcomeOf, runWave } from "./wave-run.ts";

/** Brings the schema and every mirror of a wave to where one short transaction reaches the pinned release. */
export const prepareNode: MigrationNode<WaveInputs> = {
  id: (inputs) => `prepare:${inputs.wave}`,
  refusals: standingRefusals,

  isUnfinished: (inputs) => isWaveUnfinished(inputs, isPrepared),

  async run(inputs, show, update = new Update()) {
    return withRegistries(inputs, { isReadOnly: false }, async (registries) => {
      await refuseHeld(inputs, registries);
      if (update.isCancelled)
        return {
          status: "partial",
          summary: `prepare to ${inputs.release.pin}: ${cancelledText}`,
          epoch: inputs.release.pin,
        };
      const exact = await readExactly(await readMembers(inputs, registries), registries);
      // The way back builds from a side that stays as it is, and is promised within minutes: it waits for no dump.
      const unsafe = goesBack(inputs) ? [] : await dumpBefore(inputs, aboutToBuild(inputs, exact.members));
      const safe = exact.members.filter(({ tenant }) => !unsafe.some((result) => result.tenant === tenant.id));
      const without = [...exact.unreachable, ...unsafe, ...(await moveSchema(inputs, safe))];
      const results = await runWave("prepare", inputs, exact.members, registries, {
        update,
        without,
        ...(show && { show }),
      });
      return outcomeOf("prepare", inputs, results);
    });
  },
};

/** True when what is known of the member, from the registry or from its ledger, says that a cutover may run, or has run. */
export function isPrepared(inputs: WaveInputs, member: WaveMember): boolean {
  const positions = new Map(member.tenant.states.map((state) => [state.mirror, state.position]));
  const sinks = inputs.release.sinkMirrors.every((mirror) => standsFor("sink", positions.get(mirror) ?? "off"));
  const sources = [...positions].every(
    ([mirror, position]) => inputs.release.sinkMirrors.includes(mirror) || standsFor("source", position),
  );
  return sinks && sources && (isThere(inputs, member) || member.tenant.release !== undefined);
}

function standsFor(authority: "source" | "sink", position: Position): boolean {
  return isMirrored(position) || position === (authority === "sink" ? "retired" : "off");
}

/**
 * Forward: the pinned release's expand revision, which the release that runs now bears. Back: tenants whose source is
 * gone get its tables again, empty. One Python process for all of them.
 *
 * @param members with positions from their own ledgers
 * @returns results of those that could not be moved
 */
async function moveSchema(inputs: WaveInputs, members: readonly WaveMember[]): Promise<TenantResult[]> {
  const { release, back } = inputs;
  const isRetired = ({ tenant }: WaveMember) =>
    tenant.states.some((state) => state.position === "retired" && !release.sinkMirrors.includes(state.mirror));
  const moved =
    back !== undefined && goesBack(inputs)
      ? await downgradeTo(members.filter(isRetired).map(databaseOf), back.schema.expandTo)
      : await upgradeTo(members.map(databaseOf), release.schema.expandTo);
  return schemaFailures(members, moved);
}

/** A tenant's database as Alembic wants it. */
export function databaseOf({ tenant, region }: WaveMember): { database: string; url: string } {
  return { database: tenant.database, url: databaseUrl(resolveReference(region.postgresUrl), tenant.database) };
}

/** Results of the members whose database could not be moved, each with its reason. */
export function schemaFailures(members: readonly WaveMember[], moved: readonly SchemaResult[]): TenantResult[] {
  const faults = new Map(moved.filter(({ status }) => status !== "done").map((one) => [one.database, one]));
  return members.flatMap(({ tenant }) => {
    const fault = faults.get(tenant.database);
    return fault === undefined ? [] : [untouched(tenant.id, "failed", `schema: ${fault.reason ?? fault.status}`)];
  });
}
