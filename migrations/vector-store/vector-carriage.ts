import type pg from "pg";
import { RangeMacs } from "../ledger/range-mac.ts";
import { type CollectionSpec, ensureCollection } from "../milvus/collection.ts";
import { MilvusError } from "../milvus/milvus-error.ts";
import { type EpochWriter, openEpochWriter, type WriterTurn } from "../milvus/epoch-writer.ts";
import { type MilvusAccess, MilvusSession } from "../milvus/session.ts";
import { TenantVectors } from "../milvus/vectors.ts";
import type { Carriage, Carrier } from "../mirror/carrier.ts";
import type { MirrorPair } from "../mirror/definition.ts";
import type { Lane } from "../mirror/pair-shape.ts";
import type { Keyring } from "../vault/keyring.ts";
import { confirmRegister } from "./confirm-register.ts";
import { measureRecall } from "./measure-recall.ts";
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
  /** The run's turn at writing; absent for whoever only reads. */
  readonly turn?: WriterTurn | undefined;
}

/** The connection to Milvus and the keys of the ledger; both are opened when something is carried, not before. */
export class VectorCarriage implements Carriage {
  readonly #args: VectorCarriageArgs;
  #session: Promise<MilvusSession> | undefined;
  #writer: Promise<EpochWriter> | undefined;

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
    try {
      await (await this.#vectors()).deleteAll();
    } catch (error) {
      // A collection that is gone holds nothing.
      if (!(error instanceof MilvusError) || error.reason !== "missing") throw error;
    }
  }

  async confirmSink(client: pg.Client, lane: Lane): Promise<Readonly<Record<string, unknown>>> {
    const vectors = await this.#vectors();
    const confirmed = await confirmRegister(client, lane, vectors);
    return { vectors: confirmed, ...(await measureRecall(client, lane, vectors, this.#args.collection)) };
  }

  async close(): Promise<void> {
    const [session, writer] = [this.#session, this.#writer];
    this.#session = undefined;
    this.#writer = undefined;
    await writer?.then((opened) => opened.close()).catch(() => undefined);
    await session?.then((opened) => opened.close()).catch(() => undefined);
  }

  async #vectors(): Promise<TenantVectors> {
    const { collection, tenant } = this.#args;
    return new TenantVectors(await this.#openRows(), collection, tenant);
  }

  /** The session for rows: the run's own user's, or for whoever only reads the region's. */
  async #openRows(): Promise<MilvusSession> {
    const { access, collection, turn } = this.#args;
    if (turn === undefined) return this.#open();
    this.#writer ??= this.#open()
      .then((admin) => openEpochWriter(admin, access, collection.name, turn))
      .catch((error: unknown) => {
        this.#writer = undefined;
        throw error;
      });
    return (await this.#writer).session;
  }

  #open(): Promise<MilvusSession> {
    this.#session ??= MilvusSession.open(this.#args.access).catch((error: unknown) => {
      this.#session = undefined;
      throw error;
    });
    return this.#session;
  }
}
