import type pg from "pg";

/** Which release a tenant is on: the row a fenced service reads to say so. */
export interface Whereabouts {
  readonly tenant: string;
  readonly release: string;
  readonly pin: string;
  readonly since: Date;
}

/** Undefined before onboarding has written it, or without a ledger. */
export async function findWhereabouts(client: pg.Client): Promise<Whereabouts | undefined> {
  const ledger = await client.query<{ present: boolean }>(
    "SELECT to_regclass('rc.whereabouts') IS NOT NULL AS present",
  );
  if (ledger.rows[0]?.present !== true) return undefined;
  const found = await client.query<Whereabouts>("SELECT tenant, release, pin, since FROM rc.whereabouts");
  return found.rows[0];
}

/** Writes the one row, in the transaction that is open if one is. `since` changes only with the release or pin. */
export async function setWhereabouts(
  client: pg.Client,
  whereabouts: { tenant: string; release: string; pin: string },
): Promise<void> {
  await client.query(
    `INSERT INTO rc.whereabouts AS present (tenant, release, pin) VALUES ($1, $2, $3)
     ON CONFLICT ((true)) DO UPDATE SET tenant = EXCLUDED.tenant, release = EXCLUDED.release, pin = EXCLUDED.pin,
       since = clock_timestamp()
     WHERE (present.tenant, present.release, present.pin) IS DISTINCT FROM (EXCLUDED.tenant, EXCLUDED.release, EXCLUDED.pin)`,
    [whereabouts.tenant, whereabouts.release, whereabouts.pin],
  );
}
