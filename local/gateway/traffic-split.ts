import type { Client } from "pg";
import type { TrafficSplit } from "../../migrations/traffic/split.ts";

/** How requests without a tenant are shared out; undefined while nobody has said so, as in a registry older than this. */
export async function findTrafficSplit(client: Client): Promise<TrafficSplit | undefined> {
  const table = await client.query<{ is_there: boolean }>(
    "SELECT to_regclass('registry.traffic') IS NOT NULL AS is_there",
  );
  if (table.rows[0]?.is_there !== true) return undefined;
  type Row = Omit<TrafficSplit, "older"> & { older: string | null };
  const { rows } = await client.query<Row>(
    // A registry serves one environment; should there be several, the one that moved last.
    "SELECT newer, older, percent, paths FROM registry.traffic ORDER BY as_of DESC LIMIT 1",
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const { older, ...rest } = row;
  return { ...rest, ...(older === null ? {} : { older }) };
}
