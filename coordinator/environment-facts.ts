import { resolveReference } from "../migrations/reference.ts";
import { stateOf } from "../migrations/postgres/errors.ts";
import { explainUnavailable } from "../migrations/postgres/unavailable.ts";
import type { Hold } from "../migrations/registry/holds.ts";
import type { TenantOverview } from "../migrations/registry/projection.ts";
import { registryDatabase, registryUrl } from "../migrations/registry/registry-session.ts";
import { Registry } from "../migrations/registry/registry.ts";
import { membersOf } from "../migrations/registry/selector.ts";
import type { WaveStep } from "../migrations/registry/wave-steps.ts";
import type { Environment } from "../releases/environment.ts";
import type { MirrorState, Position } from "../releases/mirror-state.ts";
import { formatPin } from "../releases/pin.ts";

/** What the registry knows of an environment, read once: a command decides on one picture, not on a moving one. */
export interface EnvironmentFacts {
  /** False before the first update has made the registry. */
  readonly hasRegistry: boolean;
  /** Tenants that waves move, by wave, in the order of the waves. */
  readonly waves: ReadonlyMap<string, readonly TenantOverview[]>;
  readonly suspended: readonly TenantOverview[];
  readonly onboarding: readonly TenantOverview[];
  readonly unmatched: readonly TenantOverview[];
  readonly holds: readonly Hold[];
  readonly waveSteps: readonly WaveStep[];
  /** Pins with evidence that they work in this environment. */
  readonly verified: ReadonlySet<string>;
  /** Hash -> who and why. */
  readonly rescinded: ReadonlyMap<string, string>;
  readonly asOf: Date;
}

/**
 * The registry of an environment's first region: it holds what speaks of the whole environment (holds, records, wave steps,
 * verifications). Tenants, routes and the projection stand in the registry of their own region. @param isReadOnly logs in as rc_reader
 */
export function openRegistry(environment: Environment, options: { readonly isReadOnly?: boolean } = {}): Registry {
  const [region] = environment.regions;
  if (region === undefined) throw new Error(`environment ${environment.name} has no region; add one to the stack file`);
  return new Registry(registryUrl(resolveReference(region.postgres.url)), options);
}

/** Reads everything by a handful of queries, whatever the number of tenants. */
export async function readFacts(environment: Environment, registry: Registry): Promise<EnvironmentFacts> {
  try {
    const [tenants, holds, waveSteps, verifications, rescinded] = await Promise.all([
      readTenants(environment, registry, { mayLackRegistry: true }),
      registry.holds.inForce(environment.name),
      registry.waveSteps.list(environment.name),
      registry.records.listVerifications(environment.name),
      registry.records.listRescinded(),
    ]);
    const members = membersOf(environment.waves, tenants);
    return {
      hasRegistry: true,
      waves: members.waves,
      suspended: [...members.suspended.values()].flat(),
      onboarding: tenants.filter(({ status, isProbe }) => status === "onboarding" && !isProbe),
      unmatched: members.unmatched,
      holds,
      waveSteps,
      verified: new Set(verifications.map(({ release, hash }) => formatPin({ id: release, hash }))),
      rescinded: new Map(rescinded.map(({ hash, who, why }) => [hash, `${why} (${who})`])),
      asOf: new Date(),
    };
  } catch (error) {
    if (error instanceof UnreadableRegion) throw error;
    if (isAbsent(error)) return emptyFacts(environment);
    throw unreadable(environment.regions[0], error);
  }
}

/**
 * Tenants of all regions, each read from its own region's registry by one query.
 * @param mayLackRegistry a region after the first that has no registry yet, because no update has run since it was added to the
 *   stack file, has no tenants. @default false: its registry may have been lost, so it is a fault
 * @throws naming the region that cannot be read
 */
export async function readTenants(
  environment: Environment,
  home: Registry,
  { mayLackRegistry = false }: { readonly mayLackRegistry?: boolean } = {},
): Promise<TenantOverview[]> {
  const [first, ...others] = environment.regions;
  if (first === undefined || others.length === 0) return home.projection.overview();
  const elsewhere = others.map(async (region) => {
    const registry = new Registry(registryUrl(resolveReference(region.postgres.url)), { isReadOnly: true });
    try {
      return await registry.projection.overview(region.name);
    } catch (error) {
      if (mayLackRegistry && isAbsent(error)) return [];
      throw unreadable(region, error);
    } finally {
      await registry.close();
    }
  });
  return (await Promise.all([home.projection.overview(first.name), ...elsewhere])).flat();
}

/**
 * Where the mirrors of one wave, or of all, stand: tenants summed by mirror and position. A position without a measured rate
 * takes the mean of what was measured on others.
 */
export function mirrorStates(facts: EnvironmentFacts, wave?: string): MirrorState[] {
  const all = [...facts.waves.values()].flat().flatMap(({ states }) => states);
  const chosen = wave === undefined ? all : (facts.waves.get(wave) ?? []).flatMap(({ states }) => states);
  const sums = new Map<string, { mirror: string; position: Position; tenants: number; rows: number; dirty: number }>();
  for (const { mirror, position, rows, dirty } of chosen) {
    const key = `${mirror} ${position}`;
    const sum = sums.get(key) ?? { mirror, position, tenants: 0, rows: 0, dirty: 0 };
    sums.set(key, { ...sum, tenants: sum.tenants + 1, rows: sum.rows + rows, dirty: sum.dirty + dirty });
  }
  return [...sums.values()].map((sum) => {
    const rates = all.filter(({ mirror, rateRowsPerS }) => mirror === sum.mirror && (rateRowsPerS ?? 0) > 0);
    const mean = rates.reduce((total, { rateRowsPerS }) => total + (rateRowsPerS ?? 0), 0) / rates.length;
    return rates.length === 0 ? sum : { ...sum, rateRowsPerSecond: mean };
  });
}

/** Oldest `as of` of what the projection says; undefined when it knows no mirror. */
export function projectionAsOf(facts: EnvironmentFacts): Date | undefined {
  const times = [...facts.waves.values()].flat().flatMap(({ states }) => states.map(({ asOf }) => asOf.getTime()));
  return times.length === 0 ? undefined : new Date(Math.min(...times));
}

/** Database, schema, table or role are not there: the first update makes them. */
const absentStates = new Set(["3D000", "3F000", "42P01", "22023", "42704", "28000"]);

function isAbsent(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return absentStates.has(stateOf(error) ?? stateOf(cause) ?? "");
}

/** A registry that cannot be read, in words that a person can act on. */
class UnreadableRegion extends Error {}

function unreadable(region: Environment["regions"][number] | undefined, error: unknown): Error {
  if (region === undefined) return error as Error;
  const { url: reference } = region.postgres;
  const place = { url: resolveReference(reference), reference, database: registryDatabase };
  const text = explainUnavailable(error, { about: `region ${region.name}`, ...place });
  return new UnreadableRegion(text, { cause: error });
}

/** What is known of an environment whose registry is not there or cannot be read. */
export function emptyFacts(environment: Environment): EnvironmentFacts {
  return {
    hasRegistry: false,
    waves: new Map(environment.waves.map(({ name }) => [name, []])),
    suspended: [],
    onboarding: [],
    unmatched: [],
    holds: [],
    waveSteps: [],
    verified: new Set(),
    rescinded: new Map(),
    asOf: new Date(),
  };
}
