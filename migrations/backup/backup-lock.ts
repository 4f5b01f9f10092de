import type pg from "pg";

/** Another run dumps or restores this tenant. */
export class BackupBusyError extends Error {
  override readonly name = "BackupBusyError";
}

/**
 * Takes the lock that lets one run at a time dump or restore a tenant. It belongs to the session, and to the server: the
 * session is one of the operator's own database, since a restore puts the tenant's away.
 *
 * @throws {BackupBusyError}
 */
export async function lockBackup(operator: pg.Client, tenant: string): Promise<void> {
  const tried = await operator.query<{ locked: boolean }>(
    "SELECT pg_try_advisory_lock(hashtextextended('rc.backup.' || $1, 0)) AS locked",
    [tenant],
  );
  if (tried.rows[0]?.locked === true) return;
  throw new BackupBusyError(
    `tenant ${tenant}: another run dumps or restores it; wait for that one, then run this again`,
  );
}
