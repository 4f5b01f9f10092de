import pg from "pg";
import type { TourContext } from "./step.ts";

/** One query on a database of the platform, by plain SQL and never through the engine. */
export async function query<Row extends pg.QueryResultRow>(
  context: TourContext,
  database: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const url = new URL(context.environment["RC_POSTGRES_URL"] ?? "");
  url.pathname = `/${database}`;
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    return (await client.query<Row>(text, [...values])).rows;
  } finally {
    await client.end();
  }
}

/** Database of a tenant. */
export const tenantDatabase = (tenant: string): string => `tenant_${tenant.replaceAll("-", "_")}`;
