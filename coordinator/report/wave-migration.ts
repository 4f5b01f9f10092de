import { countWave } from "../../migrations/census.ts";
import type { WaveCensus } from "../../migrations/census.ts";
import { obstacleText } from "../../migrations/mirror/preflight.ts";
import type { Environment } from "../../releases/environment.ts";
import type { MirrorState, Position } from "../../releases/mirror-state.ts";
import { rolloutOf } from "../../releases/rollout.ts";
import type { Rollout } from "../../releases/rollout.ts";
import { regionTargets } from "../region-targets.ts";

/** What an update does to one mirror of one wave, counted in the tenants' own databases. */
export interface MirrorMigration {
  readonly mirror: string;
  /** `build` copies every row, `follow` drains what has changed since, `nothing` is where it should be. */
  readonly step: "build" | "follow" | "nothing";
  readonly tenants: number;
  readonly rows: number;
  readonly bytes: number;
  readonly diskBytes: number;
  /** Copying one tenant after another; null when no rate is known. */
  readonly seconds: number | null;
  /** `measured` on earlier runs, or `sampled` by reading and sealing 2,000 rows. */
  readonly rateFrom: "measured" | "sampled" | "none";
  /** Named in the stack file's `finalize`: the point of no instant return. */
  readonly isFinalized: boolean;
}

/** What an update moves in one wave. */
export interface WaveMigration {
  readonly wave: string;
  readonly pin: string;
  readonly tenants: number;
  /** Tenants that the pinned release does not serve yet. */
  readonly moving: number;
  /** Captured changes that are still to be carried to the other side. */
  readonly dirty: number;
  readonly mirrors: readonly MirrorMigration[];
  /** Where the mirrors stand once the update has run. */
  readonly after: readonly MirrorState[];
  /** What has to be mended before the wave can go. */
  readonly obstacles: readonly string[];
}

/**
 * Counts what each wave would move, with the reading role.
 * @throws {PostgresError} when a database cannot be reached
 */
export async function countMigrations(environment: Environment): Promise<WaveMigration[]> {
  const rollout = rolloutOf(environment);
  const found: WaveMigration[] = [];
  for (const wave of rollout.waves) {
    const census = await countWave({
      kind: "prepare",
      environment: environment.name,
      wave: wave.name,
      waves: rollout.waves.map(({ name, selector }) => ({ name, selector })),
      regions: regionTargets(environment),
      release: wave.target,
      ...(wave.back === undefined ? {} : { back: wave.back }),
      releaseRoles: rollout.targets.map(({ role }) => role),
      deadlineSeconds: 1500,
      concurrency: 1,
    });
    found.push(migrationOf(wave, census));
  }
  return found;
}

/** Sums a census by mirror and step. Pure. */
export function migrationOf(wave: Rollout["waves"][number], census: WaveCensus): WaveMigration {
  const keys = [...new Set(census.mirrors.map(({ mirror, step }) => `${mirror} ${step}`))];
  const mirrors = keys.map((key): MirrorMigration => {
    const members = census.mirrors.filter(({ mirror, step }) => `${mirror} ${step}` === key);
    const [{ mirror, step }] = members as [WaveCensus["mirrors"][number]];
    const total = (field: "rows" | "bytes" | "diskBytes") => members.reduce((sum, each) => sum + each[field], 0);
    return {
      mirror,
      step,
      tenants: members.length,
      rows: total("rows"),
      bytes: total("bytes"),
      diskBytes: total("diskBytes"),
      seconds: secondsOf(members),
      rateFrom:
        (["none", "sampled", "measured"] as const).find((from) => members.some((m) => m.rateFrom === from)) ?? "none",
      isFinalized: wave.finalize.includes(mirror),
    };
  });
  return {
    wave: wave.name,
    pin: wave.target.pin,
    tenants: census.tenants,
    moving: census.moving,
    dirty: census.dirty,
    mirrors,
    after: positionsAfter(wave, census),
    obstacles: census.obstacles.map(obstacleText),
  };
}

/** The position each mirror ends at; a cutover drains before it flips, so what moves has nothing left to drain. */
function positionsAfter(wave: Rollout["waves"][number], census: WaveCensus): MirrorState[] {
  const sums = new Map<string, MirrorState>();
  for (const { mirror, position, rows, rowsPerS } of census.mirrors) {
    const end = endOf(position as Position, wave.target.sinkMirrors.includes(mirror), wave.finalize.includes(mirror));
    const key = `${mirror} ${end}`;
    const { tenants = 0, rows: known = 0, rateRowsPerSecond = rowsPerS } = sums.get(key) ?? {};
    // The slowest tenant's rate speaks for all: nobody is promised too much.
    const rate = Math.min(rateRowsPerSecond ?? Infinity, rowsPerS ?? Infinity);
    sums.set(key, {
      mirror,
      position: end,
      tenants: tenants + 1,
      rows: known + rows,
      dirty: 0,
      ...(Number.isFinite(rate) ? { rateRowsPerSecond: rate } : {}),
    });
  }
  const rest = census.moving === 0 ? census.dirty : 0;
  const [[first, state] = []] = [...sums];
  if (rest > 0 && first !== undefined && state !== undefined) sums.set(first, { ...state, dirty: rest });
  return [...sums.values()];
}

function endOf(position: Position, isSink: boolean, isFinalized: boolean): Position {
  if (isSink) return isFinalized || position === "retired" ? "retired" : "switched";
  if (isFinalized || position === "off") return "off";
  return "mirroring";
}

function secondsOf(mirrors: WaveCensus["mirrors"]): number | null {
  let seconds = 0;
  for (const { rows, rowsPerS } of mirrors) {
    if (rows > 0 && rowsPerS === undefined) return null;
    seconds += rows === 0 ? 0 : rows / (rowsPerS ?? 1);
  }
  return seconds;
}
