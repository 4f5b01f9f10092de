import type { ResidencyRule } from "./registry/residency.ts";

/** Plain JSON that every wave node gets: what to move, where it is, who belongs to the wave. No credentials, no counts. */
export interface WaveInputs {
  /** `prepare`, `cutover` or `finalize`. */
  readonly kind: "prepare" | "cutover" | "finalize";
  readonly environment: string;
  readonly wave: string;
  /** All waves in order: a tenant belongs to the first whose selector matches. */
  readonly waves: readonly { readonly name: string; readonly selector: WaveSelector }[];
  readonly regions: readonly RegionTarget[];
  /** Who may live where; absent when there is no rule. */
  readonly residency?: readonly ResidencyRule[];
  /** The pinned release: where the wave has to end. */
  readonly release: ReleaseTarget;
  /** The release that the wave comes from or may go back to; absent when there is none. */
  readonly back?: ReleaseTarget;
  /** Database roles of all releases: the ones a cutover fences. */
  readonly releaseRoles: readonly string[];
  /** When the update has lasted so long, the node ends `partial` and the next update goes on. @default 1500 */
  readonly deadlineSeconds: number;
  /** Tenants moved at the same time, one worker process each; 1 to 64. */
  readonly concurrency: number;
  /** Tenants that may fail before the waves behind this one wait. @default none may */
  readonly failureBudget?: { readonly maxFailedPercent: number; readonly maxFailures?: number };
  /** What protects the data before it is changed for the first time; absent = nothing that this program knows of. */
  readonly backup?: BackupPolicy;
  /** `cutover` only: nobody moves to this release before so many percent of the traffic without a tenant have proven it. */
  readonly traffic?: { readonly pin: string; readonly percent: number };
  /** `finalize` only: mirrors to take to their end position. */
  readonly mirrors?: readonly string[];
  /** Outputs of the nodes before this one, so that it looks again when they have moved something. */
  readonly after?: string;
}

/** `pitr`: somebody else's, `proof` is a command or a reference to one. `dump`: ours, into the folder that `to` refers to. */
export type BackupPolicy =
  | { readonly kind: "pitr"; readonly proof: string }
  | { readonly kind: "dump"; readonly to: string; readonly keepDays: number };

/** Chooses tenants of a wave from the live registry. */
export interface WaveSelector {
  readonly ids?: readonly string[];
  readonly tags?: readonly string[];
  /** 1 to 100 per cent of the tenants, by a hash of the id: stable while others are onboarded. */
  readonly percentage?: number;
  /** All that no earlier wave has taken. */
  readonly rest?: true;
}

/** What the engine needs to know of a release. */
export interface ReleaseTarget {
  readonly id: string;
  /** 12 hex digits of the content hash. */
  readonly hash: string;
  readonly pin: string;
  /** 1 for r1: orders releases. */
  readonly number: number;
  /** The database role of its services. */
  readonly role: string;
  readonly schema: {
    readonly expandTo: string;
    readonly contractTo: string;
    /** Oldest release that runs on each of the two revisions; kept in the ledger. */
    readonly oldestOn?: { readonly expand: string; readonly contract: string };
  };
  /** Mirrors whose authority is the sink in this release; all others stand on their source. */
  readonly sinkMirrors: readonly string[];
}

/** Where a region's servers are; credentials are references (`env:NAME`), never values. */
export interface RegionTarget {
  readonly name: string;
  readonly postgresUrl: string;
  readonly vaultAddress?: string;
  readonly vaultToken?: string;
  /** @default `transit-<environment>` */
  readonly transitMount?: string;
  /** `host:port`; absent where no release keeps vectors in Milvus. */
  readonly milvusAddress?: string;
  readonly milvusUser?: string;
  readonly milvusPassword?: string;
  /** Database of Milvus. @default `default` */
  readonly milvusDatabase?: string;
}

/** The tenant of a release's own, `probe-r1`; with the region's name where there are several regions: a tenant lives in one. */
export function probeTenantOf(release: { readonly id: string }, region: string, regions: readonly unknown[]): string {
  return regions.length === 1 ? `probe-${release.id}` : `probe-${release.id}-${region}`;
}
