import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";

/** Another run works on this tenant. */
export class TenantBusyError extends Error {
  override readonly name = "TenantBusyError";
}

/**
 * Takes the advisory lock that lets one run at a time work on a tenant. It belongs to the session: it is gone when the
 * session ends, whatever ended it. Advisory locks count per database, so one number serves every tenant.
 *
 * @param patienceMs how long to try while another run, such as the keeper's, has it. @default 0
 * @throws {TenantBusyError} naming the holder
 */
export async function lockTenant(client: pg.Client, tenant: string, patienceMs = 0): Promise<void> {
  const until = performance.now() + patienceMs;
  for (;;) {
    const tried = await client.query<{ locked: boolean }>("SELECT pg_try_advisory_lock($1, $2) AS locked", lockNumbers);
    if (tried.rows[0]?.locked === true) return;
    if (performance.now() >= until) break;
    await sleep(lockPollMs);
  }
  const holders = await client.query<{ holder: string }>(
    `SELECT format('backend %s (%s)', activity.pid, coalesce(nullif(activity.application_name, ''), 'unnamed')) AS holder
     FROM pg_locks AS lock JOIN pg_stat_activity AS activity USING (pid)
     WHERE lock.locktype = 'advisory' AND lock.classid = $1 AND lock.objid = $2 AND lock.granted
       AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    lockNumbers,
  );
  const holder = holders.rows[0]?.holder ?? "a session that has just ended";
  throw new TenantBusyError(
    `tenant ${tenant} is busy: ${holder} holds its lock; wait for that run, or set its cancel flag, then run again`,
  );
}

/** Ends what `lockTenant` began; the end of the session does the same. */
export async function unlockTenant(client: pg.Client): Promise<void> {
  await client.query("SELECT pg_advisory_unlock($1, $2)", lockNumbers);
}

/** Between two tries for a lock. */
const lockPollMs = 100;

/** "rc" and 1. */
const lockNumbers = [0x7263, 1];
