import type pg from "pg";
import { tendPrimary } from "../keys/new-primary.ts";
import { resolveReference } from "../reference.ts";
import { Keyring } from "../vault/keyring.ts";
import { Transit } from "../vault/transit.ts";
import { VectorCarriage } from "../vector-store/vector-carriage.ts";
import type { RegionTarget } from "../wave-inputs.ts";
import type { Carriage } from "./carrier.ts";
import type { MirrorDefinition } from "./definition.ts";
import { reached } from "./fault-point.ts";
import { Sealing } from "./sealing.ts";

/** Whose payloads are carried, and where. */
export interface CarriagePlace {
  readonly environment: string;
  readonly tenant: string;
  readonly region: RegionTarget;
}

/** A run's epoch of the mirror, for stores that PostgreSQL's epochs do not guard. */
export interface CarriageTurn {
  readonly epoch: bigint;
  /** @throws {TakenOverError} it is another run's by now */
  readonly confirm: () => Promise<void>;
}

/**
 * What carries the payloads of a mirror. Asks nobody yet: keys and connections are fetched when there is something to carry,
 * so that Vault and Milvus are needed only then.
 *
 * @param control session on the tenant's database, never inside a transaction
 * @param turn of whoever writes; absent for whoever only reads
 * @throws {Error} the region lacks what the mirror needs, naming where to declare it
 */
export function openCarriage(
  control: pg.Client,
  place: CarriagePlace,
  definition: MirrorDefinition,
  turn?: CarriageTurn,
): Carriage {
  const { environment, tenant, region } = place;
  const { vaultAddress, vaultToken } = region;
  if (vaultAddress === undefined || vaultToken === undefined) {
    throw new Error(
      `mirror ${definition.name} needs Vault, region ${region.name} has none; name it in the stack file (vault: {address, token})`,
    );
  }
  const transit = new Transit({
    address: resolveReference(vaultAddress),
    token: resolveReference(vaultToken),
    mount: region.transitMount ?? `transit-${environment}`,
  });
  const keyring = new Keyring({ client: control, transit, tenant, onStep: (step) => reached(`key.${step}`) });
  if (definition.collection === undefined)
    return new Sealing(keyring, definition, environment, tenant, (cls) => tendPrimary(control, transit, tenant, cls));
  const { milvusAddress, milvusUser, milvusPassword } = region;
  if (milvusAddress === undefined || milvusUser === undefined || milvusPassword === undefined) {
    throw new Error(
      `mirror ${definition.name} needs Milvus, region ${region.name} has none; name it in the stack file (milvus: {address, user, password})`,
    );
  }
  const access = {
    address: resolveReference(milvusAddress),
    username: resolveReference(milvusUser),
    password: resolveReference(milvusPassword),
    ...(region.milvusDatabase === undefined ? {} : { database: region.milvusDatabase }),
  };
  return new VectorCarriage({
    environment,
    tenant,
    collection: definition.collection,
    access,
    keyring,
    control,
    turn: turn && { ...turn, owner: JSON.stringify([environment, tenant, definition.name]) },
  });
}
