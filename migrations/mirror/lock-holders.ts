import type pg from "pg";

/** Lock modes that keep SHARE ROW EXCLUSIVE waiting. */
const conflicting = [
  "RowExclusiveLock",
  "ShareUpdateExclusiveLock",
  "ShareLock",
  "ShareRowExclusiveLock",
  "ExclusiveLock",
  "AccessExclusiveLock",
];

/**
 * Asks autovacuum workers on these tables to stop: they give way by themselves only after deadlock_timeout, which is
 * longer than we ever wait. They come back later.
 */
export async function sendAutovacuumAway(operator: pg.Client, tables: readonly string[]): Promise<void> {
  await operator
    .query(
      `SELECT pg_cancel_backend(activity.pid) FROM pg_locks AS lock JOIN pg_stat_activity AS activity USING (pid)
       WHERE lock.relation = ANY(SELECT to_regclass(quoted) FROM unnest($1::text[]) AS quoted)
         AND activity.backend_type = 'autovacuum worker'`,
      [tables],
    )
    .catch(() => {}); // a login without the right to do so only waits longer
}

/**
 * Who holds locks on these tables that a cutover waits for, by process id: `pid 4711 (platform-api, idle in transaction,
 * transaction since 03:12:00 UTC)`.
 */
export async function findHolders(operator: pg.Client, tables: readonly string[]): Promise<Map<number, string>> {
  const found = await operator.query<{ pid: number; holder: string }>(
    `SELECT DISTINCT activity.pid, format('pid %s (%s, %s, transaction since %s)', activity.pid,
       coalesce(nullif(activity.application_name, ''), activity.usename, activity.backend_type),
       coalesce(activity.state, 'state not visible'),
       coalesce(to_char(activity.xact_start, 'HH24:MI:SS "UTC"'), '?')) AS holder
     FROM pg_locks AS lock JOIN pg_stat_activity AS activity USING (pid)
     WHERE lock.relation = ANY(SELECT to_regclass(quoted) FROM unnest($1::text[]) AS quoted)
       AND lock.granted AND lock.mode = ANY($2)`,
    [tables, conflicting],
  );
  return new Map(found.rows.map(({ pid, holder }) => [pid, holder]));
}
