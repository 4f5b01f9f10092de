import type pg from "pg";
import type { KeyText } from "../ledger/range.ts";
import type { Carrier } from "./carrier.ts";
import { readChunk, readNextChunk, writeChunk } from "./chunk.ts";
import { compareKeys, compareRange } from "./compare.ts";
import { dirtyKeys, joinOn, keyArray, keyList, keyParameters, keyTable, within } from "./key-space.ts";
import { type Lane, payloadBytes } from "./pair-shape.ts";
import type { PayloadCodec } from "./sealing.ts";

/** Carries payloads between two tables of the tenant's database, sealed in one and in clear in the other. */
export function sealedCarrier(codec: PayloadCodec): Carrier {
  return {
    keysetVersion: codec.keysetVersion,
    macs: codec.macs,
    readNext: (client, lane, lower, rows) => readNextChunk(client, lane, lower, rows, codec),
    read: (client, lane, range) => readChunk(client, lane, range, codec),
    write: writeChunk,
    async remove(client, lane, range) {
      await client.query(`DELETE FROM ${lane.to.quoted} WHERE ${within(keyList(lane.keys), lane.keys, range)}`);
    },
    async bring(client, lane, keys) {
      await bring(client, lane, keys, codec);
      return [];
    },
    compareRange: (client, lane, range, onDifference) => compareRange(client, lane, range, codec, onDifference),
    compareKeys: (client, lane, keys) => compareKeys(client, lane, keys, codec),
  };
}

async function bring(client: pg.Client, lane: Lane, wanted: readonly KeyText[], codec: PayloadCodec): Promise<void> {
  const { keys, to } = lane;
  const present = await client.query<{ key: string[]; payload: Buffer }>(
    `SELECT ${keyArray(lane.keys, "k")} AS key, ${payloadBytes(lane.from, "t")} AS payload
     FROM ${keyTable(keys, "k")} JOIN ${lane.from.quoted} AS t ON ${joinOn(keys, "t", "k")}`,
    keyParameters(keys, wanted),
  );
  const found = present.rows.map(({ key, payload }) => ({ key, payload: codec.convert(lane.fromSide, key, payload) }));
  const foundKeys = new Set(found.map((row) => JSON.stringify(row.key)));
  const gone = wanted.filter((key) => !foundKeys.has(JSON.stringify(key)));
  if (gone.length > 0) {
    await client.query(
      `DELETE FROM ${to.quoted} AS t USING ${keyTable(keys, "k")} WHERE ${joinOn(keys, "t", "k")}`,
      keyParameters(keys, gone),
    );
  }
  if (found.length > 0) {
    const parameter = `$${keys.length + 1}::bytea[]`;
    const value = to.payloadType === "bytea" ? "k.payload" : "convert_from(k.payload, 'UTF8')";
    const arrays = keys.map((key, nth) => `$${nth + 1}::text[]::${key.type}[]`).join(", ");
    await client.query(
      `INSERT INTO ${to.quoted} (${keyList(keys)}, ${to.payload})
       SELECT ${dirtyKeys(keys, "k")}, ${value} FROM unnest(${arrays}, ${parameter}) AS k(${dirtyKeys(keys)}, payload)
       ORDER BY ${dirtyKeys(keys, "k")}
       ON CONFLICT (${keyList(keys)}) DO UPDATE SET ${to.payload} = EXCLUDED.${to.payload}`,
      [
        ...keyParameters(
          keys,
          found.map((row) => row.key),
        ),
        found.map((row) => row.payload),
      ],
    );
  }
}
