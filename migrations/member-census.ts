import type pg from "pg";
import { readMirrors } from "./ledger/position.ts";
import { diskBytes, measureSide, sampleRate } from "./mirror/estimate.ts";
import { countDirty } from "./mirror/follow.ts";
import { ending, type MirrorGoal, mirrorGoals, preparation } from "./mirror/plan.ts";
import { findObstacles, type Obstacle } from "./mirror/preflight.ts";
import type { WaveMember } from "./nodes/wave-members.ts";
import { connect } from "./postgres/connect.ts";
import { explainUnavailable } from "./postgres/unavailable.ts";
import { resolveReference } from "./reference.ts";
import type { WaveInputs } from "./wave-inputs.ts";

/** What one mirror of one tenant means for a wave. */
export interface MirrorCensus {
  readonly tenant: string;
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

/** What was found of one tenant. */
export interface MemberCensus {
  /** Captured changes that wait. */
  readonly dirty: number;
  readonly mirrors: readonly MirrorCensus[];
  /** Whatever is in here has to be mended before the tenant can go. */
  readonly obstacles: readonly Obstacle[];
}

/** Rows per second measured on earlier tenants, by mirror; undefined = none was measured. */
export type RateOf = (mirror: string) => number | undefined;

/** How a tenant is looked at. */
export interface VisitOptions {
  readonly rateOf: RateOf;
  /** Rows per second by mirror, guessed in the tenants visited before: reading and sealing a sample in each takes too long. */
  readonly sampled: Map<string, number>;
}

/**
 * Counts in the tenant's own database and looks for what is in the way, in one read-only session.
 * @throws {Error} naming the tenant: its database cannot be read
 */
export function visitMember(
  inputs: WaveInputs,
  member: WaveMember,
  { rateOf, sampled }: VisitOptions,
): Promise<MemberCensus> {
  return reading(member, async (client) => {
    const mirrors: MirrorCensus[] = [];
    const obstacles: Obstacle[] = [];
    for (const goal of mirrorGoals({ release: inputs.release }, await readMirrors(client))) {
      const size = await measureSide(client, goal.definition, goal.authority);
      const { name } = goal.definition;
      const known = rateOf(name);
      const guess =
        known === undefined
          ? (sampled.get(name) ?? (await sampleRate(client, goal.definition, goal.authority)))
          : undefined;
      if (guess !== undefined) sampled.set(name, guess);
      mirrors.push(mirrorCensus(member, goal, size, known, guess));
      obstacles.push(...(await obstaclesOf(client, inputs, member, goal)));
    }
    return { dirty: await countDirty(client), mirrors, obstacles };
  });
}

/** What the registry says of a tenant that the release serves and that has nothing to build or drain; else undefined. */
export function settledMember({ release }: WaveInputs, member: WaveMember, rateOf: RateOf): MemberCensus | undefined {
  const { tenant } = member;
  if (tenant.pin !== release.pin) return undefined;
  const states = new Map(tenant.states.map((state) => [state.mirror, { ...state, phase: null }]));
  const goals = mirrorGoals({ release }, states);
  if (goals.some((goal) => preparation(goal) !== "nothing")) return undefined;
  return {
    dirty: tenant.states.reduce((total, { dirty }) => total + dirty, 0),
    mirrors: goals.map((goal) => {
      const { rows = 0, bytes = 0 } = states.get(goal.definition.name) ?? {};
      return mirrorCensus(member, goal, { rows, bytes }, rateOf(goal.definition.name), undefined);
    }),
    obstacles: [],
  };
}

function mirrorCensus(
  { tenant }: WaveMember,
  goal: MirrorGoal,
  { rows, bytes }: { readonly rows: number; readonly bytes: number },
  measuredRowsPerS: number | undefined,
  sampledRowsPerS: number | undefined,
): MirrorCensus {
  const rowsPerS = measuredRowsPerS ?? sampledRowsPerS;
  return {
    tenant: tenant.id,
    mirror: goal.definition.name,
    position: goal.position,
    step: preparation(goal),
    ending: ending(goal),
    rows,
    bytes,
    diskBytes: diskBytes({ rows, bytes }),
    rowsPerS,
    rateFrom: measuredRowsPerS !== undefined ? "measured" : rowsPerS === undefined ? "none" : "sampled",
  };
}

async function obstaclesOf(
  client: pg.Client,
  inputs: WaveInputs,
  { tenant }: WaveMember,
  goal: MirrorGoal,
): Promise<readonly Obstacle[]> {
  if (preparation(goal) === "nothing") return [];
  return findObstacles(client, tenant.id, goal.definition, inputs.releaseRoles);
}

/**
 * The error has no cause on purpose: a tenant's database that is gone must not be taken for a platform that is not there.
 */
async function reading<T>({ tenant, region }: WaveMember, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const reference = region.postgresUrl;
  const url = resolveReference(reference);
  try {
    const client = await connect({
      url,
      database: tenant.database,
      role: "rc_reader",
      applicationName: `rc-census ${tenant.id}`,
      isReadOnly: true,
    });
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  } catch (error) {
    const place = { about: `tenant ${tenant.id}`, url, reference, database: tenant.database };
    throw new Error(explainUnavailable(error, place));
  }
}
