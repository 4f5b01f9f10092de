import pLimit from "p-limit";
import { readMirrors } from "./ledger/position.ts";
import type { MirrorDefinition } from "./mirror/definition.ts";
import { diskBytes, measureSide, sampleRate, sampleRows } from "./mirror/estimate.ts";
import { countDirty } from "./mirror/follow.ts";
import type { TenantJob } from "./mirror/job.ts";
import { ending, mirrorGoals, preparation } from "./mirror/plan.ts";
import { findObstacles, obstacleText, type Obstacle } from "./mirror/preflight.ts";
import { readMembers, withRegistries, type WaveMember } from "./nodes/wave-members.ts";
import { connect } from "./postgres/connect.ts";
import { resolveReference } from "./reference.ts";
import type { WaveInputs } from "./wave-inputs.ts";

/** What one mirror of one tenant means for a wave. */
export interface MirrorCensus {
  readonly mirror: string;
  readonly position: string;
  /** `build` copies rows, `follow` drains what has changed, `nothing` is where it should be. */
  readonly step: "build" | "follow" | "nothing";
  /** What `finalize` would do, were it named. */
  readonly ending: "retire" | "remove" | "nothing";
  readonly rows: number;
  readonly bytes: number;
  readonly diskBytes: number;
  readonly rowsPerS: number | undefined;
  /** `measured` on earlier runs, or `sampled` by reading and sealing 2,000 rows. */
  readonly rateFrom: "measured" | "sampled" | "none";
}

/** What a wave would move, counted in the tenants' own databases. */
export interface WaveCensus {
  readonly tenants: number;
  /** Tenants that the pinned release does not serve yet. */
  readonly moving: number;
  readonly dirty: number;
  readonly mirrors: readonly (MirrorCensus & { readonly tenant: string })[];
  /** Whatever is in here has to be mended before the wave can go. */
  readonly obstacles: readonly Obstacle[];
}

/** Databases looked at side by side. */
const visitsAtOnce = 8;

/**
 * Counts what a wave would move. Read-only sessions with the reading role; nothing is written, Vault is not asked.
 *
 * @throws {PostgresError} a database cannot be reached
 */
export async function countWave(inputs: WaveInputs): Promise<WaveCensus> {
  return withRegistries(inputs, { isReadOnly: true }, async (registries) => {
    const members = await readMembers(inputs, registries);
    const known = (await Promise.all([...registries.values()].map((registry) => registry.projection.list()))).flat();
    const measured = known.flatMap((state) => (state.rateRowsPerS === undefined ? [] : [state]));
    const rateOf = (mirror: string): number | undefined => {
      const rates = measured.flatMap((state) => (state.mirror === mirror ? [state.rateRowsPerS as number] : []));
      return rates.length === 0 ? undefined : rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    };
    return countMembers(inputs, members, rateOf);
  });
}

/**
 * `countWave` for members that are known already.
 *
 * @param rateOf rows per second measured on earlier tenants, by mirror; undefined = none was measured
 */
export async function countMembers(
  inputs: WaveInputs,
  members: readonly WaveMember[],
  rateOf: (mirror: string) => number | undefined,
): Promise<WaveCensus> {
  const limit = pLimit(visitsAtOnce);
  const visits = await Promise.all(members.map((member) => limit(() => visit(inputs, member, rateOf))));
  return {
    tenants: members.length,
    moving: members.filter(({ tenant }) => tenant.pin !== inputs.release.pin).length,
    dirty: visits.reduce((total, one) => total + one.dirty, 0),
    mirrors: visits.flatMap((one) => one.mirrors),
    obstacles: visits.flatMap((one) => one.obstacles),
  };
}

/** The census as lines for the preview of a wave's node. */
export async function describeWave(inputs: WaveInputs): Promise<string[]> {
  return censusLines(inputs, await countWave(inputs));
}

/** Lines for people: what is moved, how long it takes, how long the way back takes after each step, what is in the way. */
export function censusLines(inputs: WaveInputs, census: WaveCensus): string[] {
  const { release, wave } = inputs;
  const building = census.mirrors.filter((mirror) => mirror.step === "build");
  const following = census.mirrors.filter((mirror) => mirror.step === "follow");
  const lines = [`wave ${wave} to ${release.pin}: ${census.moving} of ${census.tenants} tenants move`];
  if (building.length > 0) {
    const rows = sum(building, "rows");
    lines.push(
      `prepare copies ${rows} rows, ${mib(sum(building, "bytes"))} in ${building.length} tenants: ${duration(seconds(building))} ${rateLabel(building)}, ${mib(sum(building, "diskBytes"))} of disk`,
    );
  }
  if (following.length > 0) {
    lines.push(
      `prepare drains ${census.dirty} captured changes in ${following.length} tenants: ${duration(drainSeconds(census))}`,
    );
  }
  if (building.length + following.length > 0) {
    lines.push(
      "way back after prepare: nothing has moved; after cutover: captured changes drained, then a flip, seconds; " +
        `after finalize: the other side is rebuilt, ${duration(seconds(census.mirrors))} ${rateLabel(census.mirrors)}`,
    );
  }
  lines.push(...census.obstacles.map((obstacle) => `refused: ${obstacleText(obstacle)}`));
  return lines;
}

interface Visit {
  readonly dirty: number;
  readonly mirrors: readonly (MirrorCensus & { readonly tenant: string })[];
  readonly obstacles: readonly Obstacle[];
}

async function visit(
  inputs: WaveInputs,
  { tenant, region }: WaveMember,
  rateOf: (mirror: string) => number | undefined,
): Promise<Visit> {
  const client = await connect({
    url: resolveReference(region.postgresUrl),
    database: tenant.database,
    role: "rc_reader",
    applicationName: `rc-census ${tenant.id}`,
    isReadOnly: true,
  });
  try {
    const job: Pick<TenantJob, "release" | "definitions"> = { release: inputs.release };
    const mirrors: (MirrorCensus & { tenant: string })[] = [];
    const obstacles: Obstacle[] = [];
    for (const goal of mirrorGoals(job, await readMirrors(client))) {
      const { definition, authority } = goal;
      const size = await measureSide(client, definition, authority);
      const step = preparation(goal);
      const known = rateOf(definition.name);
      const rowsPerS = known ?? (await sampleRate(client, definition, authority));
      mirrors.push({
        tenant: tenant.id,
        mirror: definition.name,
        position: goal.position,
        step,
        ending: ending(goal),
        rows: size.rows,
        bytes: size.bytes,
        diskBytes: diskBytes(size),
        rowsPerS,
        rateFrom: known !== undefined ? "measured" : rowsPerS !== undefined ? "sampled" : "none",
      });
      if (step !== "nothing") obstacles.push(...(await obstaclesOf(client, inputs, tenant.id, definition)));
    }
    return { dirty: await countDirty(client), mirrors, obstacles };
  } finally {
    await client.end();
  }
}

function obstaclesOf(
  client: Parameters<typeof findObstacles>[0],
  inputs: WaveInputs,
  tenant: string,
  definition: MirrorDefinition,
): Promise<Obstacle[]> {
  return findObstacles(client, tenant, definition, inputs.releaseRoles);
}

function sum(mirrors: readonly MirrorCensus[], field: "rows" | "bytes" | "diskBytes"): number {
  return mirrors.reduce((total, mirror) => total + mirror[field], 0);
}

/** Seconds for the copies, were they made one after another. */
function seconds(mirrors: readonly MirrorCensus[]): number {
  return mirrors.reduce(
    (total, mirror) => total + (mirror.rowsPerS === undefined ? 0 : mirror.rows / mirror.rowsPerS),
    0,
  );
}

function drainSeconds(census: WaveCensus): number {
  const rates = census.mirrors.flatMap((mirror) => mirror.rowsPerS ?? []);
  return rates.length === 0 ? 0 : census.dirty / Math.min(...rates);
}

function rateLabel(mirrors: readonly MirrorCensus[]): string {
  return mirrors.some((mirror) => mirror.rateFrom === "sampled")
    ? `(estimated from reading and sealing ${sampleRows} rows)`
    : "(from measured rates)";
}

function mib(bytes: number): string {
  return bytes < 1_048_576 ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.round(bytes / 1_048_576)} MiB`;
}

function duration(totalSeconds: number): string {
  return totalSeconds < 90 ? `about ${Math.ceil(totalSeconds)} s` : `about ${Math.ceil(totalSeconds / 60)} minutes`;
}
