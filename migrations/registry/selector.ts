import { createHash } from "node:crypto";
import type { WaveSelector } from "../wave-inputs.ts";
import type { Tenant } from "./tenants.ts";

/** A wave as the stack file names it; exactly one way to choose tenants. */
export interface Wave {
  readonly name: string;
  readonly selector: WaveSelector;
}

type Selectable = Pick<Tenant, "id" | "tags" | "isProbe" | "status">;

/** Who belongs where. */
export interface WaveMembers<T> {
  /** All waves in their order; a wave without tenants has an empty list. */
  readonly waves: ReadonlyMap<string, readonly T[]>;
  /** Suspended tenants, by the wave they belong to: left alone, counted, and moved by the next update after they are active. */
  readonly suspended: ReadonlyMap<string, readonly T[]>;
  /** In no wave because no selector matches. */
  readonly unmatched: readonly T[];
}

/** Place of a tenant on a line from 0 to 100, the same for ever and in every environment. */
export function percentileOf(id: string): number {
  return (createHash("sha256").update(id).digest().readUInt32BE(0) / 2 ** 32) * 100;
}

/**
 * The wave of one tenant: the first whose selector matches. Percentages are slices of one line, next to each other in
 * the order of the waves: `10` then `30` are [0, 10) and [10, 40), so that each takes its own share of all tenants and
 * onboarding moves nobody. Probe tenants and tenants being onboarded are in no wave.
 */
export function findWave(waves: readonly Wave[], tenant: Selectable): Wave | undefined {
  if (tenant.isProbe || tenant.status === "onboarding") return undefined;
  const percentile = percentileOf(tenant.id);
  let sliceStart = 0;
  for (const wave of waves) {
    const { ids, tags, percentage, rest } = wave.selector;
    if (ids?.includes(tenant.id)) return wave;
    if (tags?.some((tag) => tenant.tags.includes(tag))) return wave;
    if (percentage !== undefined) {
      if (percentile >= sliceStart && percentile < sliceStart + percentage) return wave;
      sliceStart += percentage;
    }
    if (rest === true) return wave;
  }
  return undefined;
}

/** Distributes tenants over waves; pure, so that preview and update agree. */
export function membersOf<T extends Selectable>(waves: readonly Wave[], tenants: readonly T[]): WaveMembers<T> {
  const active = new Map<string, T[]>(waves.map(({ name }) => [name, []]));
  const suspended = new Map<string, T[]>(waves.map(({ name }) => [name, []]));
  const unmatched: T[] = [];
  for (const tenant of tenants) {
    if (tenant.isProbe || tenant.status === "onboarding") continue;
    const wave = findWave(waves, tenant);
    if (wave === undefined) unmatched.push(tenant);
    else (tenant.status === "suspended" ? suspended : active).get(wave.name)?.push(tenant);
  }
  return { waves: active, suspended, unmatched };
}
