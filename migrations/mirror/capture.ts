import type pg from "pg";
import { derivedName, quoteLiteral, quoteName, quoteTable } from "../postgres/identifier.ts";
import { dirtyKeys, keyList } from "./key-space.ts";
import type { PairShape, TableShape } from "./pair-shape.ts";

/**
 * Notes the key of every changed row of the authoritative side in `rc.dirty_<source>`, in the transaction that changes
 * it. AFTER INSERT OR UPDATE OR DELETE, never `UPDATE OF`; ENABLE ALWAYS, so that replication roles do not slip by;
 * SECURITY DEFINER, since the release's role may not write in schema rc. TRUNCATE is refused: it has no rows to note.
 */
export async function createCapture(client: pg.Client, shape: PairShape): Promise<void> {
  const { keys, dirty } = shape;
  const columns = keys.map((key, nth) => `k${nth + 1} ${key.type} NOT NULL`).join(", ");
  await client.query(
    `DROP TABLE IF EXISTS ${dirty} CASCADE;
     CREATE TABLE ${dirty} (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ${columns}, op "char" NOT NULL);
     CREATE INDEX ON ${dirty} (${dirtyKeys(keys)});
     CREATE OR REPLACE FUNCTION ${captureFunction(shape)}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
       SET search_path = pg_catalog AS ${quoteLiteral(captureBody(shape))};
     CREATE OR REPLACE FUNCTION ${truncateFunction(shape)}() RETURNS trigger LANGUAGE plpgsql
       SET search_path = pg_catalog AS ${quoteLiteral(truncateBody(shape))};
     REVOKE ALL ON FUNCTION ${captureFunction(shape)}(), ${truncateFunction(shape)}() FROM PUBLIC`,
  );
}

/** Starts capture on a table; SHARE ROW EXCLUSIVE, so it waits for writers and every later write is noted. */
export function startCaptureSql(shape: PairShape, table: TableShape): string {
  const row = quoteName(rowTrigger);
  const statement = quoteName(truncateTrigger);
  return `CREATE OR REPLACE TRIGGER ${row} AFTER INSERT OR UPDATE OR DELETE ON ${table.quoted}
       FOR EACH ROW EXECUTE FUNCTION ${captureFunction(shape)}();
     ALTER TABLE ${table.quoted} ENABLE ALWAYS TRIGGER ${row};
     CREATE OR REPLACE TRIGGER ${statement} BEFORE TRUNCATE ON ${table.quoted}
       FOR EACH STATEMENT EXECUTE FUNCTION ${truncateFunction(shape)}();
     ALTER TABLE ${table.quoted} ENABLE ALWAYS TRIGGER ${statement}`;
}

/**
 * Ends capture on a table without dropping the triggers: that would need ACCESS EXCLUSIVE and stop readers, while this
 * is content with SHARE ROW EXCLUSIVE. `dropCaptureSql` clears up later.
 */
export function stopCaptureSql(table: TableShape): string {
  return `ALTER TABLE ${table.quoted} DISABLE TRIGGER ${quoteName(rowTrigger)},
     DISABLE TRIGGER ${quoteName(truncateTrigger)}`;
}

/** Drops the triggers of capture from a table, if they are there. ACCESS EXCLUSIVE. */
export function dropCaptureSql(table: TableShape): string {
  return `DROP TRIGGER IF EXISTS ${quoteName(rowTrigger)} ON ${table.quoted};
     DROP TRIGGER IF EXISTS ${quoteName(truncateTrigger)} ON ${table.quoted}`;
}

/** Drops what `createCapture` made, and with it every trigger that uses it. */
export function dropCaptureObjectsSql(shape: PairShape): string {
  return `DROP FUNCTION IF EXISTS ${captureFunction(shape)}() CASCADE;
     DROP FUNCTION IF EXISTS ${truncateFunction(shape)}() CASCADE;
     DROP TABLE IF EXISTS ${shape.dirty} CASCADE`;
}

/** Tables that have triggers of capture, quoted; with `isEnabled` false those that are switched off. */
export async function findCaptured(
  client: pg.Client,
  tables: readonly TableShape[],
  isEnabled: boolean,
): Promise<string[]> {
  const found = await client.query<{ quoted: string }>(
    `SELECT DISTINCT wanted.quoted FROM unnest($1::text[]) AS wanted(quoted)
     JOIN pg_trigger ON tgrelid = to_regclass(wanted.quoted)
     WHERE tgname = ANY($2) AND (tgenabled = 'A') = $3`,
    [tables.map((table) => table.quoted), [rowTrigger, truncateTrigger], isEnabled],
  );
  return found.rows.map((row) => row.quoted);
}

/** Names that sort behind a platform's own triggers: capture sees what they have done. */
const rowTrigger = "zz_rc_capture";
const truncateTrigger = "zz_rc_refuse_truncate";

/** Names of the triggers above: the ones that are not foreign. */
export const captureTriggers: readonly string[] = [rowTrigger, truncateTrigger];

function captureFunction(shape: PairShape): string {
  return quoteTable("rc", derivedName("capture", shape.id));
}

function truncateFunction(shape: PairShape): string {
  return quoteTable("rc", derivedName("refuse_truncate", shape.id));
}

function captureBody(shape: PairShape): string {
  const { keys, dirty } = shape;
  const into = `INSERT INTO ${dirty} (${dirtyKeys(keys)}, op) VALUES`;
  return `BEGIN
    IF TG_OP = 'DELETE' THEN
      ${into} (${keyList(keys, "OLD")}, 'D');
    ELSE
      IF TG_OP = 'UPDATE' AND ROW(${keyList(keys, "OLD")}) IS DISTINCT FROM ROW(${keyList(keys, "NEW")}) THEN
        ${into} (${keyList(keys, "OLD")}, 'D');
      END IF;
      ${into} (${keyList(keys, "NEW")}, left(TG_OP, 1)::"char");
    END IF;
    RETURN NULL;
  END`;
}

function truncateBody(shape: PairShape): string {
  const message = `mirror ${shape.mirror}: TRUNCATE of ${shape.id} is refused while its changes are captured; DELETE the rows instead`;
  return `BEGIN RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = ${quoteLiteral(message)}; END`;
}
