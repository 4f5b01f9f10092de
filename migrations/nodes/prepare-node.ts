import { isMirrored, type Position } from "../ledger/position.ts";
import { resolveReference } from "../reference.ts";
import { downgradeTo, upgradeTo, type SchemaResult } from "../schema/alembic.ts";
import { databaseUrl } from "../schema/database-url.ts";
import type { WaveInputs } from "../wave-inputs.ts";
import type { MigrationNode } from "./node.ts";
import { isPlatformAbsent, readMembers, withRegistries, type WaveMember } from "./wave-members.ts";
import { isThere, waveRefusals } from "./wave-refusals.ts";
import { outcomeOf, refuseFailures, runWave } from "./wave-run.ts";

/** Brings the schema and every mirror of a wave to where one short transaction reaches the pinned release. */
export const prepareNode: MigrationNode<WaveInputs> = {
  id: (inputs) => `prepare:${inputs.wave}`,
  refusals: waveRefusals,

  async isUnfinished(inputs) {
    return withRegistries(inputs, { isReadOnly: true }, async (registries) =>
      (await readMembers(inputs, registries)).some((member) => !isPrepared(inputs, member)),
    ).catch((error: unknown) => {
      if (isPlatformAbsent(error)) return true;
      throw error;
    });
  },

  async run(inputs) {
    return withRegistries(inputs, { isReadOnly: false }, async (registries) => {
      const members = await readMembers(inputs, registries);
      await moveSchema(inputs, members);
      const results = await runWave("prepare", inputs, members, registries);
      refuseFailures("prepare", inputs, results);
      return outcomeOf("prepare", inputs, results);
    });
  },
};

/** True when the registry says that a cutover may run, or has run. */
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
 */
async function moveSchema(inputs: WaveInputs, members: readonly WaveMember[]): Promise<void> {
  const { release, back } = inputs;
  const isRetired = ({ tenant }: WaveMember) =>
    tenant.states.some((state) => state.position === "retired" && !release.sinkMirrors.includes(state.mirror));
  const goesBack = back !== undefined && back.number > release.number;
  if (!goesBack) refuseSchema(await upgradeTo(members.map(databaseOf), release.schema.expandTo));
  else refuseSchema(await downgradeTo(members.filter(isRetired).map(databaseOf), back.schema.expandTo));
}

/** A tenant's database as Alembic wants it. */
export function databaseOf({ tenant, region }: WaveMember): { database: string; url: string } {
  return { database: tenant.database, url: databaseUrl(resolveReference(region.postgresUrl), tenant.database) };
}

/** @throws when a database could not be moved, naming each with its reason */
export function refuseSchema(results: readonly SchemaResult[]): void {
  const failed = results.filter((result) => result.status !== "done");
  if (failed.length === 0) return;
  throw new Error(
    `schema: ${failed.length} of ${results.length} databases were not moved:\n` +
      failed.map((result) => `  ${result.database}: ${result.reason ?? result.status}`).join("\n"),
  );
}
