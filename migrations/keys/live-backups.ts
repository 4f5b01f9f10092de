import type pg from "pg";
import type { BackupFolder } from "../backup/backup-folder.ts";
import { keyEvents } from "./journal-events.ts";

/** Oldest version of the KEK that a dump of the tenant needs; undefined when there is no dump. */
export async function oldestKekOfDumps(folder: BackupFolder, tenant: string): Promise<number | undefined> {
  const needed = (await folder.list(tenant)).map(({ manifest }) => manifest.keyVersions.oldestKek);
  return needed.length === 0 ? undefined : Math.min(...needed);
}

/**
 * Oldest version of the KEK that a database recovered to a point in time may need: the one to which the last rotation that had
 * ended by then had wrapped every keyset.
 *
 * @param point oldest recoverable one; undefined = not known, so every version may be needed
 */
export async function oldestKekAt(client: pg.Client, point: Date | undefined): Promise<number> {
  if (point === undefined) return 1;
  const found = await client.query<{ version: string | null }>(
    "SELECT max((detail ->> 'version')::int) AS version FROM rc.journal WHERE event = $1 AND at <= $2",
    [keyEvents.rotated, point],
  );
  return Number(found.rows[0]?.version ?? 1);
}
