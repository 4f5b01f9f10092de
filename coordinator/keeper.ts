import { setTimeout as sleep } from "node:timers/promises";
import type { TenantOverview } from "../migrations/registry/projection.ts";
import type { Registry } from "../migrations/registry/registry.ts";
import type { Transit } from "../migrations/vault/transit.ts";
import type { RegionTarget } from "../migrations/wave-inputs.ts";
import { keepTenant } from "./keep-tenant.ts";
import type { KeepResult } from "./keep-tenant.ts";
import { KeeperSessions } from "./keeper-sessions.ts";

export interface KeeperSettings {
  readonly environment: string;
  readonly region: RegionTarget;
  readonly registry: Registry;
  readonly transit: Transit;
  readonly log: (line: string) => void;
  /** From the begin of a round to that of the next, milliseconds: changes wait about this long. @default 3000 */
  readonly intervalMs?: number;
  /** From one range that is compared again and signed to the next, milliseconds, over all tenants. @default 10000 */
  readonly restoreEveryMs?: number;
  /** Tenants drained at the same time. @default 2 */
  readonly concurrency?: number;
}

/** How the keeper is; what /healthz tells. */
export interface KeeperHealth {
  readonly startedAt: Date;
  /** End of the last round that reached the registry. */
  readonly heartbeatAt: Date | undefined;
  readonly rounds: number;
  /** Tenants followed in the last round. */
  readonly tenants: number;
  /** Changes that still waited after the last round. */
  readonly waiting: number;
  readonly roundSeconds: number;
  /** Faults of the last round, by tenant; `registry` for the registry itself. */
  readonly faults: Readonly<Record<string, string>>;
}

/** A round may take this long before the keeper counts as ill, milliseconds. */
export const heartbeatLimitMs = 60_000;
/** Rest after a round that took longer than the interval, milliseconds. */
const restMs = 250;
/** One tenant's turn; what is left waits for the next round. Shorter than the patience of an update with our lock (15 s). */
const turnMs = 8_000;

/**
 * The keeper of one region: drains captured changes of every tenant with two complete sides and refreshes the registry's
 * projection, round after round; a route that a killed update has left behind is pointed where the tenant's database is.
 * Stopped it makes things slower, never wrong: positions never change here.
 */
export class Keeper {
  readonly #settings: KeeperSettings;
  readonly #sessions = new KeeperSessions();
  #restoredAtMs = Number.NEGATIVE_INFINITY;
  #health: KeeperHealth = {
    startedAt: new Date(),
    heartbeatAt: undefined,
    rounds: 0,
    tenants: 0,
    waiting: 0,
    roundSeconds: 0,
    faults: {},
  };

  constructor(settings: KeeperSettings) {
    this.#settings = settings;
  }

  get health(): KeeperHealth {
    return this.#health;
  }

  /** False when no round has ended for a minute. */
  isHealthy(now = new Date()): boolean {
    const last = this.#health.heartbeatAt ?? this.#health.startedAt;
    return now.getTime() - last.getTime() < heartbeatLimitMs;
  }

  /** Runs until the signal; then ends with the batch under way, well within 5 s, and closes its sessions. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const nextAtMs = performance.now() + (this.#settings.intervalMs ?? 3000);
      await this.#look(signal);
      const pauseMs = Math.max(restMs, nextAtMs - performance.now());
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
    await this.#sessions.close();
  }

  /** One look at every tenant that is mirrored, and every session closed. Never throws: faults are told by `health`. */
  async round(signal: AbortSignal = new AbortController().signal): Promise<void> {
    await this.#look(signal);
    await this.#sessions.close();
  }

  async #look(signal: AbortSignal): Promise<void> {
    const start = performance.now();
    const faults: Record<string, string> = {};
    let heartbeatAt = this.#health.heartbeatAt;
    let waiting = 0;
    let followed: TenantOverview[] = [];
    try {
      const tenants = await this.#settings.registry.projection.overview(this.#settings.region.name);
      followed = tenants.filter(({ states }) =>
        states.some(({ position }) => position === "mirroring" || position === "switched"),
      );
      await this.#sessions.keepOnly(new Set(followed.map(({ id }) => id)));
      const queue = [...followed];
      const lane = async () => {
        for (let tenant = queue.shift(); tenant !== undefined && !signal.aborted; tenant = queue.shift()) {
          try {
            waiting += (await this.#keep(tenant, signal)).waitingAfter;
          } catch (error) {
            faults[tenant.id] = error instanceof Error ? error.message : String(error);
          }
        }
      };
      await Promise.all(Array.from({ length: this.#settings.concurrency ?? 2 }, lane));
      heartbeatAt = new Date();
    } catch (error) {
      faults["registry"] = error instanceof Error ? error.message : String(error);
    }
    this.#tellNewFaults(faults);
    const roundSeconds = (performance.now() - start) / 1000;
    this.#health = {
      startedAt: this.#health.startedAt,
      heartbeatAt,
      rounds: this.#health.rounds + 1,
      tenants: followed.length,
      waiting,
      roundSeconds,
      faults,
    };
  }

  async #keep(tenant: TenantOverview, signal: AbortSignal): Promise<KeepResult> {
    const { environment, region, transit, registry, log } = this.#settings;
    const until = Date.now() + turnMs;
    const result = await keepTenant(
      {
        environment,
        tenant: tenant.id,
        database: tenant.database,
        region,
        transit,
        // An update that was killed behind a flip has moved the tenant in its database alone: the route follows it.
        onWhereabouts: async ({ release, pin }) => {
          if (tenant.pin === undefined || tenant.pin === pin) return;
          const moved = await registry.routes.point([tenant.id], { release, pin });
          if (moved.length > 0) log(`${tenant.id}: routed to ${pin}, where its database is`);
        },
        mayRestoreRoot: () => this.#mayRestoreRoot(),
        get deadlineMs() {
          return signal.aborted ? 0 : until;
        },
      },
      this.#sessions,
    );
    // Also when nothing was drained: `as of` is the keeper's heartbeat in the projection.
    await registry.projection.record(result.states);
    if (result.status === "drained")
      log(`${tenant.id}: ${result.waitingBefore} changes drained and compared, ${result.waitingAfter} wait`);
    if (result.status === "signed") log(`${tenant.id}: a range was compared again and signed`);
    return result;
  }

  /** Comparing a range costs as much as copying it: users are not to notice that the keeper has time. */
  #mayRestoreRoot(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#restoredAtMs < (this.#settings.restoreEveryMs ?? 10_000)) return false;
    this.#restoredAtMs = nowMs;
    return true;
  }

  /** A fault that lasts is told once, not every round. */
  #tellNewFaults(faults: Readonly<Record<string, string>>): void {
    for (const [tenant, fault] of Object.entries(faults)) {
      if (this.#health.faults[tenant] !== fault) this.#settings.log(`${tenant}: ${fault}`);
    }
  }
}
