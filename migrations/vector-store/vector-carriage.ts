import type pg from "pg";
import { RangeMacs } from "../ledger/range-mac.ts";
import { type CollectionSpec, ensureCollection } from "../milvus/collection.ts";
import { type MilvusAccess, MilvusSession } from "../milvus/session.ts";
import { TenantVectors } from "../milvus/vectors.ts";
import type { Carriage, Carrier } from "../mirror/carrier.ts";
import type { MirrorPair } from "../mirror/definition.ts";
import type { Keyring } from "../vault/keyring.ts";
import { vectorCarrier } from "./vector-carrier.ts";

/** What a tenant's vectors are carried with. */
export interface VectorCarriageArgs {
  readonly environment: string;
  readonly tenant: string;
  readonly collection: CollectionSpec;
  readonly access: MilvusAccess;
  /** Signs the ledger; vectors themselves are not sealed. */
  readonly keyring: Keyring;
  /** A session on the tenant's database that is never inside a transaction. */
  readonly control: pg.Client;
}

/** The connection to Milvus and the keys of the ledger; both are opened when something is carried, not before. */
export class VectorCarriage implements Carriage {
  readonly #args: VectorCarriageArgs;
  #session: Promise<MilvusSession> | undefined;

  constructor(args: VectorCarriageArgs) {
    this.#args = args;
  }

  async ensure(findUse: { signed?: () => Promise<string | undefined> } = {}): Promise<void> {
    await this.#args.keyring.ensure("verify", findUse.signed);
    await ensureCollection(await this.#open(), this.#args.collection);
  }

  async macs(): Promise<RangeMacs> {
    const { environment, tenant, keyring } = this.#args;
    return new RangeMacs((await keyring.get("verify")).mac, environment, tenant);
  }

  async keysetVersion(): Promise<number> {
    return 0;
  }

  async tend(): Promise<void> {
    // no key of this mirror seals anything: none grows old
  }

  async learn(): Promise<void> {
    // nothing is opened, so no key can be unknown
  }

  async carrier(_pair: MirrorPair): Promise<Carrier> {
    const { collection, control } = this.#args;
    const vectors = await this.#vectors();
    return vectorCarrier({ vectors, dimension: collection.dimension, control }, await this.macs());
  }

  async withCarrier<T>(pair: MirrorPair, work: (carrier: Carrier) => Promise<T>): Promise<T> {
    return work(await this.carrier(pair));
  }

  async emptySink(): Promise<void> {
    await (await this.#vectors()).deleteAll();
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.then((opened) => opened.close()).catch(() => undefined);
  }

  async #vectors(): Promise<TenantVectors> {
    return new TenantVectors(await this.#open(), this.#args.collection, this.#args.tenant);
  }

  #open(): Promise<MilvusSession> {
    this.#session ??= MilvusSession.open(this.#args.access).catch((error: unknown) => {
      this.#session = undefined;
      throw error;
    });
    return this.#session;
  }
}
