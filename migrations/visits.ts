import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import pLimit from "p-limit";
import { type MemberCensus, type RateOf, visitMember } from "./member-census.ts";
import { allMirrors } from "./mirrors.ts";
import { isPlatformAbsent, type WaveMember, withRegistries } from "./nodes/wave-members.ts";
import type { Observation, Standing } from "./registry/observations.ts";
import type { RegionTarget, WaveInputs } from "./wave-inputs.ts";

/** Databases looked at side by side. */
const visitsAtOnce = 8;

/** What was found of a member, or why its database could not be read. */
export type Visited = MemberCensus | Error;

/**
 * What the members' own databases say, in their order. A database is visited unless it can be told from outside that
 * nothing in it has changed since its last visit and that nobody is in it (docs/adr/0012); then what was found there is
 * taken. What visits find is kept for the next preview, if the login may become `rc_migrator`; else nothing is written.
 *
 * For previews and refusals: whatever changes data looks again itself.
 */
export async function lookAtMembers(
  inputs: WaveInputs,
  members: readonly WaveMember[],
  rateOf: RateOf = () => undefined,
): Promise<readonly Visited[]> {
  if (members.length === 0) return [];
  const standings = await readStandings(inputs, members);
  const limit = pLimit(visitsAtOnce);
  const sampled = new Map<string, number>();
  const observations: { readonly region: RegionTarget; readonly observation: Observation }[] = [];
  const visits = await limit.map([...members], async (member): Promise<Visited> => {
    const { id } = member.tenant;
    const known = standings.get(id);
    if (known?.census !== undefined) return withRates(known.census as MemberCensus, rateOf);
    try {
      const census = await visitMember(inputs, member, { rateOf, sampled });
      // Whoever cannot go is looked at until he can.
      if (known !== undefined && census.obstacles.length === 0)
        observations.push({ region: member.region, observation: { tenant: id, evidence: known.evidence, census } });
      return census;
    } catch (error) {
      return error as Error;
    }
  });
  await keep(inputs, observations);
  return visits;
}

/** Rates measured since then go before the ones of the visit. */
function withRates(census: MemberCensus, rateOf: RateOf): MemberCensus {
  const mirrors = census.mirrors.map((mirror) => {
    const rowsPerS = rateOf(mirror.mirror);
    return rowsPerS === undefined ? mirror : { ...mirror, rowsPerS, rateFrom: "measured" as const };
  });
  return { ...census, mirrors };
}

async function readStandings(
  inputs: WaveInputs,
  members: readonly WaveMember[],
): Promise<ReadonlyMap<string, Standing>> {
  const question = await questionOf(inputs);
  try {
    return await withRegistries(inputs, { isReadOnly: true }, async (registries) => {
      const regions = await Promise.all(
        [...registries].map(([region, { observations }]) =>
          observations.standings(
            members.flatMap((member) => (member.region === region ? [member.tenant.id] : [])),
            question,
            inputs.releaseRoles,
          ),
        ),
      );
      return new Map(regions.flatMap((standings) => [...standings]));
    });
  } catch (error) {
    // A registry from before observations were kept: `up` brings it up to date.
    if (isPlatformAbsent(error)) return new Map();
    throw error;
  }
}

async function keep(
  inputs: WaveInputs,
  observations: readonly { readonly region: RegionTarget; readonly observation: Observation }[],
): Promise<void> {
  if (observations.length === 0) return;
  await withRegistries(inputs, { isReadOnly: false }, async (registries) => {
    for (const [region, registry] of registries)
      await registry.observations.record(
        observations.flatMap((one) => (one.region === region ? [one.observation] : [])),
      );
    // A reader may not write, and the preview is as true without: only the next one takes longer.
  }).catch(() => undefined);
}

/** Digest of what a visit asks, and of the program that asks it: an answer is good for the same question only. */
async function questionOf({ release, releaseRoles }: WaveInputs): Promise<string> {
  const digest = createHash("sha256");
  digest.update(JSON.stringify([[...release.sinkMirrors].sort(), [...releaseRoles].sort(), allMirrors()]));
  for (const folder of ["mirror", "vector-store"].map((name) => join(import.meta.dirname, name)))
    for (const file of (await readdir(folder)).sort()) digest.update(await readFile(join(folder, file)));
  digest.update(await readFile(join(import.meta.dirname, "member-census.ts")));
  return digest.digest("hex");
}
