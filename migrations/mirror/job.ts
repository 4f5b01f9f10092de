import type { Position } from "../ledger/position.ts";
import type { RegionTarget, ReleaseTarget } from "../wave-inputs.ts";
import type { MirrorDefinition } from "./definition.ts";

/** What the engine is asked to do for one tenant: plain JSON, credentials as references only. */
export interface TenantJob {
  readonly environment: string;
  readonly tenant: string;
  readonly database: string;
  readonly region: RegionTarget;
  /** The pinned release: where the tenant has to end. */
  readonly release: ReleaseTarget;
  /** The release the wave may come from or go back to. */
  readonly back?: ReleaseTarget;
  /** Roles of all releases: a cutover fences them. @default those of `release` and `back`, and whoever may write */
  readonly releaseRoles?: readonly string[];
  /** Mirrors to take to their end position; read by `finalizeTenant` only. @default none */
  readonly mirrors?: readonly string[];
  /** Unix time in milliseconds after which the run ends `partial`. */
  readonly deadlineMs: number;
  /** Unix time in milliseconds at which the update began: cancel flags set since are for it. @default this run's start */
  readonly updateStartedAtMs?: number;
  /** Definitions the program does not have built in; for tests and for mirrors under development. @default mirrors.ts */
  readonly definitions?: readonly MirrorDefinition[];
}

/** Where the tenant stands afterwards. */
export interface TenantResult {
  readonly tenant: string;
  readonly positions: Readonly<Record<string, Position>>;
  /** Rows and bytes in the copies, all mirrors. */
  readonly rows: number;
  readonly bytes: number;
  /** Captured changes that wait. */
  readonly dirty: number;
  /** Rows copied by this run. */
  readonly copiedRows: number;
  /** For how long writers waited in the cutover, milliseconds; absent when nothing was flipped. */
  readonly lockMs?: number;
  readonly seconds: number;
  /** `partial`: the next run goes on; `failed`: somebody has to look at `reason` first. */
  readonly status: "done" | "partial" | "failed";
  readonly reason?: string;
  /** Somebody asked for an end: whoever runs several tenants starts no further one. */
  readonly isCancelled?: true;
}

/** The result of a tenant that a run has not begun with. */
export function untouched(tenant: string, status: "partial" | "failed", reason: string): TenantResult {
  return { tenant, positions: {}, rows: 0, bytes: 0, dirty: 0, copiedRows: 0, seconds: 0, status, reason };
}

/** The three wishes of a transition. */
export type JobKind = "prepare" | "cutover" | "finalize";

/** Roles that a cutover has to fence or to let in. */
export function releaseRoles(job: Pick<TenantJob, "release" | "back" | "releaseRoles">): string[] {
  return [
    ...new Set([...(job.releaseRoles ?? []), job.release.role, ...(job.back === undefined ? [] : [job.back.role])]),
  ];
}
