import type pg from "pg";
import type { Position } from "../../migrations/ledger/position.ts";

const clear = ["message_bodies", "prompt_bodies"];
const sealed = ["message_bodies_sealed", "prompt_bodies_sealed"];

/**
 * What has to be true of a tenant at rest, whatever has happened: exactly one capture, on the authoritative side;
 * exactly one release that may touch anything; ranges that tile the key space; foreign keys; and no copy that had to be
 * repaired, since nobody but the engine has written to it.
 *
 * @returns faults in words
 */
export async function ledgerFaults(admin: pg.Client, position: Position, isRepairAllowed = false): Promise<string[]> {
  const faults: string[] = [];
  const same = (what: string, seen: unknown, wanted: unknown): void => {
    if (JSON.stringify(seen) === JSON.stringify(wanted)) return;
    faults.push(`${what} is ${JSON.stringify(seen)}, with ${position} it has to be ${JSON.stringify(wanted)}`);
  };
  const isOnSink = position === "switched" || position === "retired";
  const authoritative = isOnSink ? sealed : clear;

  const capture = await column(
    admin,
    `SELECT relname FROM pg_trigger JOIN pg_class AS c ON c.oid = tgrelid
     WHERE tgname = 'zz_rc_capture' AND tgenabled = 'A' ORDER BY 1`,
  );
  const isMirrored = position === "mirroring" || position === "switched";
  same("capture", capture, isMirrored ? authoritative : []);
  const dirty = await column(
    admin,
    `SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('rc') AND relkind = 'r' AND starts_with(relname, 'dirty_')
     ORDER BY 1`,
  );
  same("tables of captured changes", dirty, isMirrored ? clear.map((table) => `dirty_${table}`) : []);

  const usable = await column(
    admin,
    `SELECT DISTINCT role || ' ' || privilege FROM unnest(ARRAY['platform_r1', 'platform_r2']) AS role,
       unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege, pg_class AS c
     WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND has_table_privilege(role, c.oid, privilege)
     ORDER BY 1`,
  );
  const role = isOnSink ? "platform_r2" : "platform_r1";
  same(
    "privileges",
    usable,
    ["DELETE", "INSERT", "SELECT", "UPDATE"].map((privilege) => `${role} ${privilege}`),
  );
  same("rc.whereabouts", await column(admin, "SELECT release FROM rc.whereabouts"), [isOnSink ? "r2" : "r1"]);

  const references = await column(
    admin,
    `SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND convalidated AND confdeltype = 'c'
       AND conrelid::regclass::text = ANY($1) ORDER BY 1`,
    [authoritative],
  );
  same("tables with a valid foreign key", references, authoritative);

  const tiles = await column(
    admin,
    `SELECT format('%s: joined %s, ends %s, all compared %s', pair, bool_and(lower IS NOT DISTINCT FROM before),
       count(*) FILTER (WHERE upper IS NULL), bool_and(verified_epoch >= since_epoch))
     FROM (SELECT *, lag(upper) OVER (PARTITION BY pair ORDER BY ordinal) AS before FROM rc.range) AS r
     JOIN rc.mirror USING (mirror) GROUP BY pair ORDER BY pair`,
  );
  same("tiling", tiles, isMirrored ? clear.map((pair) => `${pair}: joined t, ends 1, all compared t`) : []);
  if (!isRepairAllowed) {
    const repairs = await column(admin, "SELECT id::text FROM rc.journal WHERE event = 'repaired'");
    if (repairs.length > 0)
      faults.push(`${repairs.length} copies had to be repaired although only the engine wrote to them`);
  }
  return faults;
}

async function column(admin: pg.Client, sql: string, values: unknown[] = []): Promise<string[]> {
  const found = await admin.query<Record<string, string>>(sql, values);
  return found.rows.map((row) => Object.values(row)[0] ?? "");
}
