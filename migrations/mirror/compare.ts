import type pg from "pg";
import { createHash, hash } from "node:crypto";
import type { KeyRange, KeyText } from "../ledger/range.ts";
import { copyOut } from "../postgres/copy.ts";
import { dirtyKeys, keyArray, keyParameters, keyTable, joinOn, within, recordIdOf } from "./key-space.ts";
import { quoteName } from "../postgres/identifier.ts";
import { type Lane, payloadBytes, type TableShape } from "./pair-shape.ts";
import type { PayloadCodec } from "./sealing.ts";

/** What a comparison found. Counts only: key values are the tenant's. */
export interface Comparison {
  /** Rows that both sides have, equal or not. */
  readonly compared: number;
  /** Rows only the authoritative side has. */
  readonly missing: number;
  /** Rows only the other side has. */
  readonly surplus: number;
  /** Rows whose sealed value does not open to the plain one. */
  readonly different: number;
  /** Whether keys were left out, because they have a captured change. */
  readonly hasCaptured: boolean;
  /** SHA-256 over the records and the digests of their plain payloads. */
  readonly digest: Buffer;
}

/** A key at which the two sides differ. */
export interface RowDifference {
  readonly key: string;
  /** The side whose row is missing, or has to be looked at. */
  readonly side: "from" | "to";
  /** Never holds a payload. */
  readonly reason: string;
}

/** Whether both sides were equal. */
export function isEqual(comparison: Omit<Comparison, "hasCaptured">): boolean {
  return comparison.missing + comparison.surplus + comparison.different === 0;
}

/**
 * Compares a range in both directions, in the one snapshot that is open: every key without a captured change has to be
 * on both sides, and the sealed value has to open to the plain one byte by byte. Holds one row at a time.
 *
 * @param onDifference called for each key that differs; without it they are only counted
 */
export async function compareRange(
  client: pg.Client,
  lane: Lane,
  range: KeyRange,
  codec: PayloadCodec,
  onDifference?: (difference: RowDifference) => void,
): Promise<Comparison> {
  const { keys } = lane;
  const side = (table: TableShape): string =>
    `SELECT ${keys.map((key, nth) => `${quoteName(key.name)} AS k${nth + 1}`).join(", ")}, ${table.payload} AS payload
     FROM ${table.quoted} WHERE ${within(keys.map((key) => quoteName(key.name)).join(", "), keys, range)}`;
  const merged = keys.map((_, nth) => `coalesce(a.k${nth + 1}, b.k${nth + 1})`);
  const isSame = keys.map((_, nth) => `a.k${nth + 1} = b.k${nth + 1}`).join(" AND ");
  const isDirty = keys.map((_, nth) => `d.k${nth + 1} = ${merged[nth]}`).join(" AND ");
  const tally = new Tally(lane, codec, onDifference);
  await copyOut(
    client,
    `SELECT ${merged.map((key) => `${key}::text`).join(", ")}, a.payload, b.payload
     FROM (${side(lane.from)}) AS a FULL JOIN (${side(lane.to)}) AS b ON ${isSame}
     WHERE NOT EXISTS (SELECT FROM ${lane.dirty} AS d WHERE ${isDirty}) ORDER BY ${merged.join(", ")}`,
    (row) => {
      const key = row.slice(0, keys.length).map((text) => (text as Buffer).toString());
      tally.add(key, row[keys.length] ?? null, row[keys.length + 1] ?? null);
    },
  );
  const columns = dirtyKeys(keys, "d");
  const captured = await client.query(`SELECT FROM ${lane.dirty} AS d WHERE ${within(columns, keys, range)} LIMIT 1`);
  return { ...tally.result(), hasCaptured: (captured.rowCount ?? 0) > 0 };
}

/** What became of one key. */
export interface KeyComparison {
  readonly key: KeyText;
  readonly isEqual: boolean;
}

/** Compares single keys in the transaction that is open; those with a captured change are left out. */
export async function compareKeys(
  client: pg.Client,
  lane: Lane,
  texts: readonly KeyText[],
  codec: PayloadCodec,
): Promise<KeyComparison[]> {
  if (texts.length === 0) return [];
  const { keys } = lane;
  const found = await client.query<{ key: string[]; a: Buffer | null; b: Buffer | null }>(
    `SELECT ${keyArray(keys, "k")} AS key, ${payloadBytes(lane.from, "a")} AS a,
       ${payloadBytes(lane.to, "b")} AS b
     FROM ${keyTable(keys, "k")}
     LEFT JOIN ${lane.from.quoted} AS a ON ${joinOn(keys, "a", "k")}
     LEFT JOIN ${lane.to.quoted} AS b ON ${joinOn(keys, "b", "k")}
     WHERE NOT EXISTS (SELECT FROM ${lane.dirty} AS d WHERE ${keys.map((_, nth) => `d.k${nth + 1} = k.k${nth + 1}`).join(" AND ")})`,
    keyParameters(keys, texts),
  );
  return found.rows.map(({ key, a, b }) => {
    const tally = new Tally(lane, codec);
    tally.add(key, a, b);
    return { key, isEqual: isEqual(tally.result()) };
  });
}

/** Counts what two sides have, row by row, and digests the plain payloads. */
export class Tally {
  readonly #lane: Lane;
  readonly #codec: Pick<PayloadCodec, "findDifference">;
  readonly #onDifference: ((difference: RowDifference) => void) | undefined;
  readonly #digest = createHash("sha256");
  #compared = 0;
  #missing = 0;
  #surplus = 0;
  #different = 0;

  constructor(
    lane: Lane,
    codec: Pick<PayloadCodec, "findDifference">,
    onDifference?: (difference: RowDifference) => void,
  ) {
    this.#lane = lane;
    this.#codec = codec;
    this.#onDifference = onDifference;
  }

  add(key: KeyText, from: Buffer | null, to: Buffer | null): void {
    if (from === null && to === null) return;
    if (to === null) {
      this.#missing += 1;
      this.#tell(key, "to", `the row is missing, ${this.#lane.from.name} has it`);
    } else if (from === null) {
      this.#surplus += 1;
      this.#tell(key, "to", `the row is one too many, ${this.#lane.from.name} has none`);
    } else {
      this.#compared += 1;
      const [plain, sealed] = this.#lane.fromSide === "source" ? [from, to] : [to, from];
      const reason = this.#codec.findDifference(key, plain, sealed);
      if (reason !== undefined) {
        this.#different += 1;
        this.#tell(key, this.#lane.fromSide === "source" ? "to" : "from", reason);
      }
      const record = Buffer.from(recordIdOf(key));
      const length = Buffer.allocUnsafe(4);
      length.writeUInt32BE(record.length);
      // One update a row: each call costs as much as hashing half a kilobyte.
      this.#digest.update(Buffer.concat([length, record, hash("sha256", plain, "buffer")]));
    }
  }

  #tell(key: KeyText, side: RowDifference["side"], reason: string): void {
    this.#onDifference?.({ key: recordIdOf(key), side, reason });
  }

  result(): Omit<Comparison, "hasCaptured"> {
    return {
      compared: this.#compared,
      missing: this.#missing,
      surplus: this.#surplus,
      different: this.#different,
      digest: this.#digest.copy().digest(),
    };
  }
}
