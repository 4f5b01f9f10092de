import { join } from "node:path";
import type { Position } from "../../migrations/ledger/position.ts";
import type { JobKind, TenantResult } from "../../migrations/mirror/job.ts";
import type { runTenants } from "../../migrations/mirror/pool.ts";
import type { ReleaseTarget } from "../../migrations/wave-inputs.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import { getPostgresUrl, getVault } from "../servers.ts";
import type { SeededRandom } from "../workload/seeded-random.ts";
import type { DrillCase } from "./drill.ts";
import type { DrillTenant } from "./drill-tenant.ts";
import { type EngineBoundary, engineBoundaries } from "./engine-boundaries.ts";
import { judge } from "./judge.ts";
import { isOutage } from "./outage.ts";
import type { OwnServers } from "./own-servers.ts";
import { type Boundary, PostgresProxy } from "./postgres-proxy.ts";
import { proxiedRegion } from "./proxied-region.ts";
import type { Stage } from "./stage.ts";
import { Traffic } from "./traffic.ts";
import { VaultProxy } from "./vault-proxy.ts";

/** A stretch of a tenant's way, and moments of it at which a server may fall. */
interface Phase {
  readonly from: Position;
  readonly to: Position;
  readonly release: ReleaseTarget;
  readonly kind: JobKind;
  readonly moments: readonly (EngineBoundary | readonly [EngineBoundary, number])[];
  /** What the engine asks of Vault. */
  readonly requests: readonly RegExp[];
}

const decrypt = /^POST \S+\/decrypt\//;

export const phases = {
  prepare: {
    from: "off",
    to: "mirroring",
    release: r2,
    kind: "prepare",
    moments: ["takeover", "capture", "chunk", ["chunk", 2], "loaded", "verified", "position"],
    requests: [/^GET \S+\/keys\//, /^POST \S+\/encrypt\//, decrypt],
  },
  cutover: {
    from: "mirroring",
    to: "switched",
    release: r2,
    kind: "cutover",
    moments: ["takeover", "drain", "cutoverLock", "cutoverFlip", "cutover"],
    requests: [decrypt],
  },
  rollback: {
    from: "switched",
    to: "mirroring",
    release: r1,
    kind: "cutover",
    moments: ["takeover", "drain", "cutoverLock", "cutoverFlip", "cutover"],
    requests: [decrypt],
  },
  rebuild: {
    from: "retired",
    to: "switched",
    release: r1,
    kind: "prepare",
    moments: ["takeover", "capture", "chunk", ["chunk", 2], "verified", "position"],
    requests: [decrypt],
  },
} as const satisfies Readonly<Record<string, Phase>>;

export type PhaseName = keyof typeof phases;

/** What an incident works on. */
export interface Scene {
  readonly servers: OwnServers;
  readonly tenant: DrillTenant;
  readonly traffic: Traffic;
  readonly postgres: PostgresProxy;
  readonly vault: VaultProxy;
  readonly random: SeededRandom;
  readonly phase: PhaseName;
  /** A seeded moment of the phase. */
  readonly moment: Boundary;
  /** A seeded request of the phase. */
  readonly request: RegExp;
  /** Login and token with which the engine comes, where they are not the operator's. */
  readonly as: { postgresUrl?: string; vaultToken?: string };
  /** What the incident does at its moment: the case waits for it, and fails with it. */
  readonly strikes: (happened: Promise<unknown>) => void;
}

/** Something that happens to a server, and what has to become of a run that it meets. */
export interface Incident {
  readonly title: string;
  /** Phases in which it may happen; the seed picks one. @default all */
  readonly phases?: readonly PhaseName[];
  /** The run ends `done`, or `failed` with such a reason; then it is mended and the next run ends `done`. */
  readonly expected: "finishes by itself" | RegExp;
  /** It is this tenant's alone: another one, moved by the same pool at the same time, must not notice. */
  readonly isOfOneTenant?: true;
  /** Time that the run has, seconds. @default 300 */
  readonly runSeconds?: number;
  /** Vault and PostgreSQL know the tenant as one that nobody has moved before. */
  readonly isNewTenant?: true;
  /** The users write before, so that keys wait. @default true */
  readonly hasWaiting?: false;
  /** @returns mends it, after the run */
  strike(scene: Scene): Promise<(() => Promise<unknown>) | void>;
}

/** The incident as a case: with writers at work, at a seeded moment of a seeded phase. */
export function incidentCase(incident: Incident): DrillCase {
  const { expected } = incident;
  return {
    title: `${incident.title}: ${expected === "finishes by itself" ? expected : "stops, says why, goes on"}`,
    async run(stage, random) {
      const name = random.pick(incident.phases ?? (Object.keys(phases) as PhaseName[]));
      const phase: Phase = phases[name];
      const tenant = await tenantOf(stage, phase, incident, random);
      const neighbour = incident.isOfOneTenant ? await tenantOf(stage, phase, {}, random) : undefined;
      const traffic = new Traffic(tenant, stage.base, random, 2, isOutage);
      if (incident.hasWaiting !== false) await traffic.burst(6);
      await using postgres = await PostgresProxy.start(getPostgresUrl());
      await using vault = await VaultProxy.start(getVault().address);
      const [moment, nth] = [random.pick(phase.moments)].flat() as [EngineBoundary, number?];
      const pending: Promise<unknown>[] = [];
      let isMomentUsed = false;
      const scene: Scene = {
        servers: stage.servers,
        tenant,
        traffic,
        postgres,
        vault,
        random,
        phase: name,
        get moment() {
          isMomentUsed = true;
          return { ...engineBoundaries[moment], ...(nth === undefined ? {} : { nth }) };
        },
        request: random.pick(phase.requests),
        as: {},
        strikes: (happened) => pending.push(happened),
      };
      const faults: unknown[] = [];
      // A fault on the way out must not hide the first one, which is the reason.
      const note = (fault: unknown): void => void faults.push(fault);
      const play = async (): Promise<void> => {
        const mend = await incident.strike(scene);
        if (incident.hasWaiting !== false) traffic.start();
        try {
          await suffer(stage, phase, tenant, neighbour, scene, incident);
          if (postgres.isWaiting || vault.isWaiting)
            throw new Error(`${name}: the run ended before the incident, at ${moment}`);
          await Promise.all(pending);
        } catch (fault) {
          note(fault);
          if (!postgres.isWaiting && !vault.isWaiting) await Promise.allSettled(pending); // what is half stopped cannot start
        }
        await mend?.();
        if (faults.length > 0) return;
        if (expected !== "finishes by itself") await assertUnmoved(tenant, phase);
        await tenant.move(phase.kind, phase.release);
        if (phase.kind === "prepare") await tenant.move("cutover", phase.release);
        if (incident.hasWaiting === false) await traffic.burst(2);
      };
      await play().catch(note);
      await traffic.stop().catch(note);
      if (faults.length > 0) throw faults[0];
      await judge(tenant, traffic.log, phase.release === r2 ? "switched" : "mirroring");
      return isMomentUsed ? `${name}, ${[moment, nth].join(" ")}` : name;
    },
  };
}

async function tenantOf(
  stage: Stage,
  phase: Phase,
  { isNewTenant }: Partial<Incident>,
  random: SeededRandom,
): Promise<DrillTenant> {
  if (isNewTenant) {
    const fresh = await stage.tenant("off", `drl-${random.below(2 ** 32).toString(16)}`);
    if (phase.from !== "off") await fresh.move("prepare", r2);
    if (phase.from === "switched") await fresh.move("cutover", r2);
    return fresh;
  }
  const tenant = await stage.tenant(phase.from);
  // A copy of a database has its sequences as pages only: PostgreSQL believes numbers logged that were logged for the
  // original, and gives them out again after a crash. A checkpoint makes it log them anew.
  await tenant.admin.query("CHECKPOINT");
  if (phase.from === "retired") await tenant.undoContract();
  // Services that have run for a while have their keys.
  if (phase.release === r1) await tenant.keyring().get("prompt");
  return tenant;
}

/** The run that meets the incident, and what has to hold of it. */
async function suffer(
  stage: Stage,
  phase: Phase,
  tenant: DrillTenant,
  neighbour: DrillTenant | undefined,
  scene: Scene,
  { expected, runSeconds = 300 }: Incident,
): Promise<void> {
  const { postgres, vault, as } = scene;
  const region = proxiedRegion({
    postgres: { url: as.postgresUrl ?? postgres.url },
    vault,
    ...(as.vaultToken === undefined ? {} : { vaultToken: as.vaultToken }),
  });
  let result: TenantResult | undefined;
  if (neighbour === undefined) {
    result = await tenant.start(phase.kind, phase.release, undefined, { region }).ended();
  } else {
    const pool = (await import(join(stage.migrationsFolder, "mirror", "pool.ts"))) as { runTenants: typeof runTenants };
    const deadlineMs = Date.now() + runSeconds * 1000;
    const jobs = [tenant.job(phase.release, { region, deadlineMs }), neighbour.job(phase.release)];
    const results = await pool.runTenants(phase.kind, jobs, { concurrency: 2 });
    result = results[0];
    if (results[1]?.status !== "done")
      throw new Error(`another tenant ended ${results[1]?.status}: ${results[1]?.reason}`);
  }
  const told = `the run ended ${result?.status}: ${result?.reason ?? ""}`;
  if (expected === "finishes by itself") {
    if (result?.status !== "done") throw new Error(told);
    const { "prompt-encryption": stands } = result.positions;
    if (stands !== phase.to) throw new Error(`${told}, and says that the tenant is ${stands}; it is ${phase.to}`);
    return;
  }
  if (result?.status !== "failed" || !expected.test(result.reason ?? "")) throw new Error(told);
  if (/lorem|base (prompt|message)| wrote \d/.test(JSON.stringify(result))) throw new Error("the report quotes a row");
}

/** The tenant stands where it stood, with the release that it had. @throws {Error} it was moved behind its failure */
async function assertUnmoved(tenant: DrillTenant, { from }: Phase): Promise<void> {
  const found = await tenant.admin.query<{ release: string }>("SELECT release FROM rc.whereabouts");
  const wanted = from === "switched" || from === "retired" ? "r2" : "r1";
  const position = await tenant.position();
  if (position !== from || found.rows[0]?.release !== wanted)
    throw new Error(`the run failed, and the tenant is ${position} with ${found.rows[0]?.release}; it was ${from}`);
}
