import type pg from "pg";
import type { KeyRange, KeyText } from "../ledger/range.ts";
import type { RangeMacs } from "../ledger/range-mac.ts";
import type { Chunk } from "./chunk.ts";
import type { Comparison, KeyComparison, RowDifference } from "./compare.ts";
import type { MirrorPair } from "./definition.ts";
import type { Lane } from "./pair-shape.ts";

/**
 * How the payloads of one pair get from the authoritative side to the other, and are held against each other. Ranges,
 * captured changes, epochs, authority and privileges are the engine's, the same for every kind of mirror; what a payload is
 * and where it lies is the carrier's. Has everything it needs in memory: never waits for Vault.
 */
export interface Carrier {
  /** Version of the keyset in use, for the ledger; 0 when nothing is sealed. */
  readonly keysetVersion: number;
  /** Signs what is written of it in the ledger. */
  readonly macs: RangeMacs;
  /** Reads as many rows above `lower` as asked for, or fewer once they hold 8 MiB; up to infinity when there are no more. */
  readNext(client: pg.Client, lane: Lane, lower: KeyText | null, rows: number): Promise<Chunk>;
  /** Reads a range of the authoritative side. */
  read(client: pg.Client, lane: Lane, range: KeyRange): Promise<Chunk>;
  /** Writes a chunk to the other side, in the transaction that is open; returns when it is there. Idempotent once undone. */
  write(client: pg.Client, lane: Lane, chunk: Chunk): Promise<void>;
  /** Deletes a range from the other side, in the transaction that is open. */
  remove(client: pg.Client, lane: Lane, range: KeyRange): Promise<void>;
  /**
   * Brings the present rows of these keys over, or deletes them there, in the transaction that is open.
   * @returns keys that have to wait: what is there of them now is not whole
   */
  bring(client: pg.Client, lane: Lane, keys: readonly KeyText[]): Promise<readonly KeyText[]>;
  /**
   * Compares a range in both directions, in the one snapshot that is open: every key without a captured change.
   * @param onDifference called for each key that differs; without it they are only counted
   */
  compareRange(
    client: pg.Client,
    lane: Lane,
    range: KeyRange,
    onDifference?: (difference: RowDifference) => void,
  ): Promise<Comparison>;
  /** Compares single keys in the transaction that is open; those with a captured change are left out. */
  compareKeys(client: pg.Client, lane: Lane, keys: readonly KeyText[]): Promise<KeyComparison[]>;
}

/** What a kind of mirror needs for one tenant: keys, connections, and the carriers made with them. */
export interface Carriage {
  /**
   * Makes what the mirror needs, if it is not there, and opens it.
   * @param findUse what its keysets were used for already; see `Keyring.ensure`
   */
  ensure(findUse?: {
    sealed?: () => Promise<string | undefined>;
    signed?: () => Promise<string | undefined>;
  }): Promise<void>;
  /** What signs and checks the ledger. @throws {VaultError} @throws {KeyringError} */
  macs(): Promise<RangeMacs>;
  /** Newest version of the keyset that seals; 0 when nothing is sealed. */
  keysetVersion(): Promise<number>;
  /** For bulk work, between two chunks. */
  tend(): Promise<void>;
  /** A carrier with the present keys. */
  carrier(pair: MirrorPair): Promise<Carrier>;
  /** Runs `work` with a carrier, once more with newer keys if it meets one that it does not know. */
  withCarrier<T>(pair: MirrorPair, work: (carrier: Carrier) => Promise<T>): Promise<T>;
  /** Loads the keyset that has this key. @throws {KeyringError} none has */
  learn(keyId: number): Promise<void>;
  /** Empties what lies outside the tenant's database of the mirror's sink; absent when nothing does. */
  emptySink?(): Promise<void>;
  /**
   * Looks that what lies outside the database is still what was compared, just before authority moves there; absent when
   * nothing does. A copy inside has no owner but the engine; one outside may have been dropped or restored by others.
   * @returns plain JSON for the journal
   * @throws {Error} with counts and the mend
   */
  confirmSink?(client: pg.Client, lane: Lane): Promise<Readonly<Record<string, unknown>>>;
  /** Ends connections of its own; absent when it has none. */
  close?(): Promise<void>;
}
