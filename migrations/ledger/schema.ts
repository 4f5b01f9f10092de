import type pg from "pg";
import { LedgerError } from "./ledger-error.ts";
import { inTransaction } from "../postgres/transaction.ts";

/**
 * Creates the ledger: schema `rc` in a tenant's database, the truth about its data. Idempotent and safe to run from
 * several sessions. Everybody may read `rc.whereabouts`; the role `rc_reader`, where it exists, reads the rest except
 * the encrypted keysets.
 *
 * @param client session whose role owns the tenant's database
 */
export async function ensureLedger(client: pg.Client): Promise<void> {
  const present = await client.query<{ complete: boolean }>(
    `SELECT to_regclass('rc.ledger_${ledgerVersion}') IS NOT NULL AS complete`,
  );
  if (present.rows[0]?.complete === true) return;
  await inTransaction(
    client,
    async () => {
      await client.query("SELECT pg_advisory_xact_lock(hashtext('rc.ledger'))");
      await refuseUnsigned(client);
      await client.query(ledgerDdl);
      const reader = await client.query("SELECT FROM pg_roles WHERE rolname = 'rc_reader'");
      if ((reader.rowCount ?? 0) > 0) await client.query(readerGrants);
    },
    { lockTimeoutMs: 5000 },
  );
}

/**
 * Version 1 neither signed its ranges nor bound its keysets. Signing them now would vouch for whatever is in them, so only
 * a ledger without any becomes a newer one.
 */
async function refuseUnsigned(client: pg.Client): Promise<void> {
  const ledger = await client.query<{ present: boolean }>(
    "SELECT to_regclass('rc.ledger_1') IS NOT NULL AND to_regclass('rc.ledger_2') IS NULL AS present",
  );
  if (ledger.rows[0]?.present !== true) return;
  const used = await client.query("SELECT FROM rc.keyset UNION ALL SELECT FROM rc.range LIMIT 1");
  if (used.rowCount === 0) return;
  throw new LedgerError(
    `the ledger of database ${client.database} is of version 1: its keysets and ranges carry no MACs, and this program trusts ` +
      `none without. Finalize its mirrors back to off and decommission vault with the program that wrote it, or onboard the tenant anew (dev: make clean, make up)`,
  );
}

/** Raised when the DDL below changes: every statement of it can be repeated on an older ledger. */
const ledgerVersion = 3;

const ledgerDdl = `
CREATE SCHEMA IF NOT EXISTS rc;
GRANT USAGE ON SCHEMA rc TO PUBLIC;
CREATE TABLE IF NOT EXISTS rc.mirror (
  mirror text PRIMARY KEY,
  position text NOT NULL DEFAULT 'off' CHECK (position IN ('off', 'mirroring', 'switched', 'retired')),
  epoch bigint NOT NULL DEFAULT 0,
  since_epoch bigint NOT NULL DEFAULT 0,
  phase text,
  built_on oid[],
  keyset_version integer,
  holder text,
  cancel boolean NOT NULL DEFAULT false,
  pause boolean NOT NULL DEFAULT false,
  updated_at timestamptz NOT NULL DEFAULT now());
ALTER TABLE rc.mirror ADD COLUMN IF NOT EXISTS cancelled_at timestamptz;
COMMENT ON COLUMN rc.mirror.cancelled_at IS 'when the cancel flag was set last: it is for updates that had begun by then';
COMMENT ON COLUMN rc.mirror.epoch IS 'raised by every takeover and cutover; a writer of another epoch stops';
COMMENT ON COLUMN rc.mirror.since_epoch IS 'epoch in which the present copy began: verifications of an older one do not count';
COMMENT ON COLUMN rc.mirror.built_on IS 'tables that the present copy is written to: one made anew under the same name is another';
CREATE TABLE IF NOT EXISTS rc.range (
  mirror text NOT NULL REFERENCES rc.mirror,
  pair text NOT NULL,
  ordinal integer NOT NULL,
  lower text[],
  upper text[],
  rows bigint NOT NULL,
  bytes bigint NOT NULL,
  keyset_version integer,
  copied_epoch bigint NOT NULL,
  copied_at timestamptz NOT NULL DEFAULT now(),
  verified_epoch bigint,
  verified_at timestamptz,
  root bytea,
  repairs integer NOT NULL DEFAULT 0,
  PRIMARY KEY (mirror, pair, ordinal));
ALTER TABLE rc.range ADD COLUMN IF NOT EXISTS mac bytea;
COMMENT ON COLUMN rc.range.root IS 'MAC of what was compared, by the tenant''s keyset of class verify; null once a change was drained into the range';
COMMENT ON COLUMN rc.range.mac IS 'MAC of the row by the same keyset: an edited row is refused';
COMMENT ON TABLE rc.range IS 'ranges (lower, upper] of the key; null = minus or plus infinity; ordinal n+1 begins where n ends';
CREATE SEQUENCE IF NOT EXISTS rc.noted;
CREATE TABLE IF NOT EXISTS rc.unverified (
  mirror text NOT NULL REFERENCES rc.mirror,
  pair text NOT NULL,
  key text[] NOT NULL,
  noted bigint NOT NULL DEFAULT nextval('rc.noted'),
  repairs integer NOT NULL DEFAULT 0,
  PRIMARY KEY (mirror, pair, key));
CREATE TABLE IF NOT EXISTS rc.journal (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  mirror text,
  event text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}');
CREATE TABLE IF NOT EXISTS rc.keyset (
  tenant text NOT NULL,
  class text NOT NULL,
  version integer NOT NULL,
  encrypted bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant, class, version));
ALTER TABLE rc.keyset ADD COLUMN IF NOT EXISTS binding bytea;
COMMENT ON COLUMN rc.keyset.binding IS 'ties the keyset to tenant, class and version: one in another row does not open';
CREATE TABLE IF NOT EXISTS rc.keyset_head (
  tenant text NOT NULL,
  class text NOT NULL,
  version integer NOT NULL,
  binding bytea NOT NULL,
  PRIMARY KEY (tenant, class));
COMMENT ON TABLE rc.keyset_head IS 'the version stored last: a newest keyset that was deleted is missed';
CREATE TABLE IF NOT EXISTS rc.whereabouts (
  tenant text NOT NULL,
  release text NOT NULL,
  pin text NOT NULL,
  since timestamptz NOT NULL DEFAULT now());
CREATE UNIQUE INDEX IF NOT EXISTS whereabouts_one_row ON rc.whereabouts ((true));
GRANT SELECT ON rc.whereabouts TO PUBLIC;
CREATE TABLE IF NOT EXISTS rc.schema_target (
  release text PRIMARY KEY,
  expand_to text NOT NULL,
  contract_to text NOT NULL,
  oldest_on jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS rc.ledger_2 ();
CREATE TABLE IF NOT EXISTS rc.ledger_${ledgerVersion} ();
`;

const readerGrants = `
GRANT SELECT ON ALL TABLES IN SCHEMA rc TO rc_reader;
REVOKE SELECT ON rc.keyset FROM rc_reader;
GRANT SELECT (tenant, class, version, created_at) ON rc.keyset TO rc_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA rc GRANT SELECT ON TABLES TO rc_reader;
GRANT USAGE ON SCHEMA public TO rc_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO rc_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO rc_reader;
`;
