import type pg from "pg";
import { sqlState, stateOf, withoutRows } from "../postgres/errors.ts";
import { quoteName } from "../postgres/identifier.ts";

/**
 * Puts a database in the place of another by two renames in one transaction: whoever connects finds the old one or the new
 * one, never none. Ends the sessions of both first; a session that comes in between only costs another try. The one that was
 * replaced keeps its rows and lets nobody in any more.
 *
 * @param live database to replace; one that is not there is simply taken the place of
 * @throws {Error} sessions keep coming; nothing was changed
 */
export async function swapDatabases(
  operator: pg.Client,
  { live, restored, previous }: { readonly live: string; readonly restored: string; readonly previous: string },
): Promise<void> {
  for (let nth = 1; ; nth += 1) {
    const found = await operator.query("SELECT FROM pg_database WHERE datname = $1", [live]);
    const isThere = (found.rowCount ?? 0) > 0;
    try {
      await operator.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY ($1)", [
        [live, restored],
      ]);
      await operator.query(
        [
          "BEGIN",
          ...(isThere
            ? [
                `ALTER DATABASE ${quoteName(live)} ALLOW_CONNECTIONS false`,
                `ALTER DATABASE ${quoteName(live)} RENAME TO ${quoteName(previous)}`,
              ]
            : []),
          `ALTER DATABASE ${quoteName(restored)} RENAME TO ${quoteName(live)}`,
          "COMMIT",
        ].join("; "),
      );
      return;
    } catch (error) {
      await operator.query("ROLLBACK");
      if (stateOf(error) !== sqlState.objectInUse || nth >= swapTries) throw withoutRows(error);
    }
  }
}

/** PostgreSQL itself waits up to five seconds for a session to leave before it refuses a rename. */
const swapTries = 20;
