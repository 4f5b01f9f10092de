import type pg from "pg";
import { derivedName, quoteLiteral, quoteName, quoteTable } from "../postgres/identifier.ts";
import { columnsOf, type MirrorPair } from "./definition.ts";
import { keyList } from "./key-space.ts";
import type { PairShape, TableShape } from "./pair-shape.ts";

/** Name of a side's foreign key: the one PostgreSQL itself would choose, `prompt_bodies_prompt_id_fkey`. */
export function referenceName(pair: MirrorPair, table: string): string {
  return derivedName(table, ...columnsOf(pair.key), "fkey");
}

/** Adds a side's foreign key without looking at the rows that are there; `validateReference` does. Idempotent. */
export async function addReference(client: pg.Client, shape: PairShape, table: TableShape): Promise<void> {
  const { parent, parentKey } = shape.pair;
  if (parent === undefined || (await hasReference(client, shape, table))) return;
  const columns = parentKey === undefined ? "" : ` (${columnsOf(parentKey).map(quoteName).join(", ")})`;
  await client.query(
    `ALTER TABLE ${table.quoted} ADD CONSTRAINT ${quoteName(referenceName(shape.pair, table.name))}
     FOREIGN KEY (${keyList(shape.keys)}) REFERENCES ${quoteTable("public", parent)}${columns} ON DELETE CASCADE NOT VALID`,
  );
}

/** Checks the rows that were there before the foreign key; readers and writers go on. */
export async function validateReference(client: pg.Client, shape: PairShape, table: TableShape): Promise<void> {
  if (shape.pair.parent === undefined) return;
  await client.query(
    `ALTER TABLE ${table.quoted} VALIDATE CONSTRAINT ${quoteName(referenceName(shape.pair, table.name))}`,
  );
}

/** Drops a side's foreign key, if it is there. ACCESS EXCLUSIVE on the parent as well. */
export async function dropReference(client: pg.Client, shape: PairShape, table: TableShape): Promise<void> {
  if (!(await hasReference(client, shape, table))) return;
  await client.query(`ALTER TABLE ${table.quoted} DROP CONSTRAINT ${quoteName(referenceName(shape.pair, table.name))}`);
}

async function hasReference(client: pg.Client, shape: PairShape, table: TableShape): Promise<boolean> {
  const found = await client.query("SELECT FROM pg_constraint WHERE conrelid = to_regclass($1) AND conname = $2", [
    table.quoted,
    referenceName(shape.pair, table.name),
  ]);
  return (found.rowCount ?? 0) > 0;
}

/**
 * Makes the sealed table refuse a new key without a new payload: a ciphertext is bound to its key, so the row would
 * never open again. Idempotent.
 */
export async function guardSealedKeys(client: pg.Client, shape: PairShape, sink: TableShape): Promise<void> {
  const name = quoteTable("rc", derivedName("keep_key", shape.id));
  const message = `${sink.name}: the key of a sealed row changed without its payload, which is bound to the key; seal it again for the new key`;
  const row = (alias: string): string => `ROW(${keyList(shape.keys, alias)})`;
  const body = `BEGIN
    IF ${row("OLD")} IS DISTINCT FROM ${row("NEW")} AND OLD.${shape.payload} IS NOT DISTINCT FROM NEW.${shape.payload} THEN
      RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = ${quoteLiteral(message)};
    END IF;
    RETURN NEW;
  END`;
  await client.query(
    `CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog
       AS ${quoteLiteral(body)};
     CREATE OR REPLACE TRIGGER ${quoteName(keyGuard)} BEFORE UPDATE ON ${sink.quoted}
       FOR EACH ROW EXECUTE FUNCTION ${name}();
     ALTER TABLE ${sink.quoted} ENABLE ALWAYS TRIGGER ${quoteName(keyGuard)}`,
  );
}

/** Name of the trigger of `guardSealedKeys`. */
export const keyGuard = "zz_rc_keep_key";
