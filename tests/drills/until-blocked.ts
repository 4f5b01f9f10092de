import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { getPostgresUrl } from "../servers.ts";
import type { DrillTenant } from "./drill-tenant.ts";

/** Until the engine's writer waits for a row. */
export async function untilBlocked(tenant: DrillTenant): Promise<void> {
  const watch = new pg.Client({ connectionString: getPostgresUrl() });
  await watch.connect();
  try {
    for (let nth = 0; nth < 3_000; nth += 1) {
      const found = await watch.query(
        `SELECT FROM pg_stat_activity WHERE datname = $1 AND application_name LIKE 'rc-mirror%writer' AND wait_event_type = 'Lock'`,
        [tenant.database],
      );
      if ((found.rowCount ?? 0) > 0) return;
      await sleep(2);
    }
  } finally {
    await watch.end();
  }
  throw new Error("the drain never waited for the row that is locked");
}
