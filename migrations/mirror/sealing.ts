import { isUtf8 } from "node:buffer";
import type { Side } from "../ledger/position.ts";
import type { KeyText } from "../ledger/range.ts";
import { RangeMacs } from "../ledger/range-mac.ts";
import { type Aead, OpenError, overheadBytes } from "../tink/aead.ts";
import { associatedDataOf } from "../tink/associated-data.ts";
import { longestCacheAgeMs, type Keyring } from "../vault/keyring.ts";
import type { AeadClass } from "../vault/opened-keyset.ts";
import type { Carriage, Carrier } from "./carrier.ts";
import type { MirrorDefinition, MirrorPair } from "./definition.ts";
import { recordIdOf } from "./key-space.ts";
import { PayloadError } from "./payload-error.ts";
import { sealedCarrier } from "./sealed-carrier.ts";

/** Seals and opens the payloads of one pair with keys that are in memory: never waits for Vault. */
export interface PayloadCodec {
  /** Version of the keyset in use, for the ledger. */
  readonly keysetVersion: number;
  /** Signs what is written of it in the ledger. */
  readonly macs: RangeMacs;
  /** A payload of `fromSide` as the other side stores it. @throws {OpenError} `unknown-key` @throws {PayloadError} naming the row */
  convert(fromSide: Side, key: KeyText, payload: Buffer): Buffer;
  /** Bytes that `sealInto` writes. */
  sealedBytes(plain: Buffer): number;
  /** `convert` from the source, straight into a message to the server. */
  sealInto(key: KeyText, plain: Buffer, target: Buffer, offset: number): void;
  /** Why the sealed value does not open to exactly this plain one; undefined when it does. @throws {OpenError} `unknown-key` only */
  findDifference(key: KeyText, plain: Buffer, sealed: Buffer): string | undefined;
}

/** The keys of one tenant and mirror, and the context that its ciphertexts are bound to. */
export class Sealing implements Carriage {
  readonly #keyring: Keyring;
  readonly #definition: MirrorDefinition;
  readonly #environment: string;
  readonly #tenant: string;
  readonly #tend: (cls: AeadClass) => Promise<unknown>;
  #tendedAtMs = Number.NEGATIVE_INFINITY;

  /** @param tend takes the keyset towards a new primary key where one is due. @default nothing is done */
  constructor(
    keyring: Keyring,
    definition: MirrorDefinition,
    environment: string,
    tenant: string,
    tend: (cls: AeadClass) => Promise<unknown> = async () => undefined,
  ) {
    this.#keyring = keyring;
    this.#definition = definition;
    this.#environment = environment;
    this.#tenant = tenant;
    this.#tend = tend;
  }

  get #cls(): AeadClass {
    return this.#definition.keysetClass as AeadClass;
  }

  /**
   * Makes the keysets that the mirror needs, if there are none, and opens them.
   *
   * @param findUse what they were used for already; see `Keyring.ensure`
   * @throws {VaultError} @throws {KeyringError} a keyset is gone, or is not what its row says
   */
  async ensure(
    findUse: { sealed?: () => Promise<string | undefined>; signed?: () => Promise<string | undefined> } = {},
  ): Promise<void> {
    await this.#keyring.ensure(this.#cls, findUse.sealed);
    await this.#keyring.ensure("verify", findUse.signed);
    await this.tend();
  }

  /** What signs and checks the ledger. @throws {VaultError} @throws {KeyringError} */
  async macs(): Promise<RangeMacs> {
    const { mac } = await this.#keyring.get("verify");
    return new RangeMacs(mac, this.#environment, this.#tenant);
  }

  /** Version of the keyset that seals. @throws {VaultError} @throws {KeyringError} */
  async keysetVersion(): Promise<number> {
    return (await this.#keyring.get(this.#cls)).version;
  }

  /**
   * For bulk work, between two chunks: gives the keyset another primary key where age, rows or bytes ask for one; every ten
   * minutes, the rest of the time nothing. The new key is learned as any other, when the cached keyset is looked at again.
   */
  async tend(): Promise<void> {
    if (performance.now() - this.#tendedAtMs < longestCacheAgeMs) return;
    this.#tendedAtMs = performance.now();
    await this.#tend(this.#cls);
  }

  async carrier(pair: MirrorPair): Promise<Carrier> {
    return sealedCarrier(await this.codec(pair));
  }

  /** A codec with the present keys; asks Vault at most every ten minutes. */
  async codec(pair: MirrorPair): Promise<PayloadCodec> {
    const { version, aead } = await this.#keyring.get(this.#cls);
    const bind = associatedDataOf(this.#environment, this.#tenant, pair.kind);
    return pairCodec(pair, aead, version, await this.macs(), bind);
  }

  /**
   * Runs `work` with warm keys, once more with newer ones if it meets a key that it does not know: a release may have
   * begun to use it a moment ago.
   */
  async withCarrier<T>(pair: MirrorPair, work: (carrier: Carrier) => Promise<T>): Promise<T> {
    try {
      return await work(await this.carrier(pair));
    } catch (error) {
      if (!(error instanceof OpenError) || error.reason !== "unknown-key" || error.keyId === undefined) throw error;
      await this.learn(error.keyId);
      return work(await this.carrier(pair));
    }
  }

  /** Loads the keyset that has this key. @throws {KeyringError} none has */
  async learn(keyId: number): Promise<void> {
    await this.#keyring.getFor(this.#cls, keyId);
  }
}

function pairCodec(
  pair: MirrorPair,
  aead: Aead,
  version: number,
  macs: RangeMacs,
  bind: (recordId: string) => Buffer,
): PayloadCodec {
  const open = (key: KeyText, sealed: Buffer): Buffer => aead.open(sealed, bind(recordIdOf(key)));
  const openNamed = (key: KeyText, sealed: Buffer): Buffer => {
    try {
      return open(key, sealed);
    } catch (error) {
      if (!(error instanceof OpenError) || error.reason === "unknown-key") throw error;
      throw new PayloadError(
        `${pair.sink}, row ${recordIdOf(key)}: ${error.message}; restore it from a backup, or let the release that serves write it anew`,
      );
    }
  };
  return {
    keysetVersion: version,
    macs,
    convert(fromSide, key, payload) {
      if (fromSide === "source") return aead.seal(payload, bind(recordIdOf(key)));
      const plain = openNamed(key, payload);
      // PostgreSQL's text holds neither; without this the whole chunk would fail with an error that names nothing.
      if (plain.includes(0) || !isUtf8(plain)) {
        throw new PayloadError(
          `a sealed value of ${pair.sink} is not text (NUL or invalid UTF-8) and cannot go back to ${pair.source}; the release that wrote it must replace it`,
        );
      }
      return plain;
    },
    sealedBytes: (plain) => plain.length + overheadBytes,
    sealInto(key, plain, target, offset) {
      aead.sealInto(plain, bind(recordIdOf(key)), target, offset);
    },
    findDifference(key, plain, sealed) {
      try {
        return open(key, sealed).equals(plain)
          ? undefined
          : "it opens, to another text than the other side holds: an older or a foreign value";
      } catch (error) {
        if (error instanceof OpenError && error.reason !== "unknown-key") return error.message;
        throw error;
      }
    },
  };
}
