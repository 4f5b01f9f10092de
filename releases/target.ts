import { numberOf, sinkMirrorsOf } from "./catalog.ts";
import { shortHash } from "./content-hash.ts";
import { pinOf } from "./pin.ts";
import type { Release } from "./release.ts";

/** What a migration needs to know of a release; plain JSON, so that it can be the input of a node. */
export interface ReleaseTarget {
  readonly id: string;
  /** First 12 digits of the content hash. */
  readonly hash: string;
  readonly pin: string;
  /** Place in the catalog, from 1. */
  readonly number: number;
  /** PostgreSQL login role of the release's services. */
  readonly role: string;
  readonly schema: {
    readonly expandTo: string;
    readonly contractTo: string;
    readonly oldestOn: { readonly expand: string; readonly contract: string };
  };
  /** Mirrors whose sink is authoritative under this release, those of older releases included. */
  readonly sinkMirrors: readonly string[];
}

/** @throws {Error} the release is not in the catalog */
export function releaseTarget(release: Release): ReleaseTarget {
  return {
    id: release.id,
    hash: shortHash(release),
    pin: pinOf(release),
    number: numberOf(release.id),
    role: `platform_${release.id}`,
    schema: {
      expandTo: release.schema.expandTo,
      contractTo: release.schema.contractTo,
      oldestOn: { expand: release.schema.oldestOn.expand, contract: release.schema.oldestOn.contract },
    },
    sinkMirrors: [...sinkMirrorsOf(release.id)],
  };
}
