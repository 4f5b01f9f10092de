import type pg from "pg";
import type { Side } from "../ledger/position.ts";
import { derivedName, quoteName, quoteTable } from "../postgres/identifier.ts";
import { columnsOf, type MirrorDefinition, type MirrorPair } from "./definition.ts";

/** A key column as the database declares it. */
export interface KeyColumn {
  readonly name: string;
  /** SQL text of its type, e.g. `uuid`, `character varying(40)`. */
  readonly type: string;
}

/** `version`: the payload itself lies outside the database, under the row's key and this number. */
export type PayloadType = "text" | "bytea" | "vector" | "version";

/** One of the two tables of a pair. */
export interface TableShape {
  readonly name: string;
  /** Quoted and qualified. */
  readonly quoted: string;
  /** Quoted column that holds the payload, or says which one is held elsewhere. */
  readonly payload: string;
  readonly payloadType: PayloadType;
  /** Schema of the payload's type with a dot behind it, where its functions are too; empty where it is found without. */
  readonly typePrefix: string;
}

/** A pair with what the database says of it; SQL fragments are quoted. */
export interface PairShape {
  readonly pair: MirrorPair;
  readonly mirror: string;
  /** Name in the ledger. */
  readonly id: string;
  readonly keys: readonly KeyColumn[];
  /** Quoted payload column of the source. */
  readonly payload: string;
  readonly source: TableShape | undefined;
  readonly sink: TableShape | undefined;
  /** Quoted table of captured changes. */
  readonly dirty: string;
}

/** A pair in the direction in which it is being copied: from the authoritative side to the other. */
export interface Lane extends PairShape {
  readonly fromSide: Side;
  readonly from: TableShape;
  readonly to: TableShape;
}

/** Reads the tables of a mirror from the catalog. A table that does not exist is undefined in the shape. */
export async function readShapes(client: pg.Client, definition: MirrorDefinition): Promise<PairShape[]> {
  const shapes: PairShape[] = [];
  for (const pair of definition.pairs) {
    const source = await readTable(client, pair, pair.source, pair.payload);
    const sink = await readTable(client, pair, pair.sink, pair.version ?? pair.payload);
    const keys = (source ?? sink)?.keys;
    if (keys === undefined) {
      throw new Error(
        `mirror ${definition.name}: neither table ${pair.source} nor ${pair.sink} exists; let Alembic create them (coordinator diff shows the schema revision)`,
      );
    }
    shapes.push({
      pair,
      mirror: definition.name,
      id: pair.source,
      keys,
      payload: quoteName(pair.payload),
      source: source?.table,
      sink: sink?.table,
      dirty: quoteTable("rc", derivedName("dirty", pair.source)),
    });
  }
  return shapes;
}

/** The lane that copies away from `fromSide`. @throws {Error} one of the tables is missing */
export function laneFrom(shape: PairShape, fromSide: Side): Lane {
  const { source, sink } = shape;
  if (source === undefined || sink === undefined) {
    const missing = source === undefined ? shape.pair.source : shape.pair.sink;
    throw new Error(
      `mirror ${shape.mirror}: table ${missing} does not exist; bring the schema to the revision that has it before the data is moved (Alembic's ${source === undefined ? "contract revision downgraded" : "expand revision"})`,
    );
  }
  return fromSide === "source"
    ? { ...shape, fromSide, from: source, to: sink }
    : { ...shape, fromSide, from: sink, to: source };
}

interface FoundTable {
  readonly table: TableShape;
  readonly keys: readonly KeyColumn[];
}

async function readTable(
  client: pg.Client,
  pair: MirrorPair,
  name: string,
  payload: string,
): Promise<FoundTable | undefined> {
  const quoted = quoteTable("public", name);
  const found = await client.query<{ name: string; type: string }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`,
    [quoted],
  );
  if (found.rows.length === 0) return undefined;
  const types = new Map(found.rows.map((row) => [row.name, row.type]));
  const typeOf = (column: string): string => {
    const type = types.get(column);
    if (type === undefined)
      throw new Error(`table ${name} has no column ${column}; it has ${[...types.keys()].join(", ")}`);
    return type;
  };
  const type = typeOf(payload);
  const payloadType = payloadTypes.find(([pattern]) => pattern.test(type))?.[1];
  if (payloadType === undefined) {
    throw new Error(
      `table ${name}: ${payload} is ${type}; a mirror carries text, character varying, bytea or vector: change it with an Alembic step`,
    );
  }
  return {
    table: {
      name,
      quoted,
      payload: quoteName(payload),
      payloadType,
      typePrefix: /^(.+\.)vector/.exec(type)?.[1] ?? "",
    },
    keys: columnsOf(pair.key).map((column) => ({ name: column, type: typeOf(column) })),
  };
}

/** By the type as the database writes it. */
const payloadTypes: readonly (readonly [RegExp, PayloadType])[] = [
  [/^(text|character varying.*)$/, "text"],
  [/^bytea$/, "bytea"],
  [/^(.+\.)?vector(\(\d+\))?$/, "vector"],
  [/^bigint$/, "version"],
];

/** SQL of a payload as bytes, whatever the column's type. */
export function payloadBytes({ payload, payloadType, typePrefix }: TableShape, alias: string): string {
  const column = `${alias}.${payload}`;
  if (payloadType === "text") return `convert_to(${column}, 'UTF8')`;
  return payloadType === "vector" ? `${typePrefix}vector_send(${column})` : column;
}

/** SQL of a payload's bytes, counted without reading it where that can be. */
export function payloadSize({ payload, payloadType }: TableShape, alias?: string): string {
  const column = alias === undefined ? payload : `${alias}.${payload}`;
  if (payloadType === "vector") return `pg_column_size(${column})`;
  return payloadType === "version" ? "8" : `octet_length(${column})`;
}
