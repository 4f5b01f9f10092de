import { createHash } from "node:crypto";
import { RegistryPool } from "./registry-session.ts";
import type { RegistrySession } from "./registry-session.ts";

/** NOTIFY channel for changes of routes, of tenants' status (the payload is JSON with `tenant`) and of traffic (`traffic`). */
export const routeChannel = "rc_route";

// Every statement can be repeated on an older registry: new columns are added by ALTER TABLE .. ADD COLUMN IF NOT EXISTS.
const ddl = `
CREATE SCHEMA IF NOT EXISTS registry;
CREATE TABLE IF NOT EXISTS registry.tenant (
  id text PRIMARY KEY,
  region text NOT NULL,
  tags text[] NOT NULL DEFAULT '{}',
  database text NOT NULL UNIQUE,
  is_probe boolean NOT NULL DEFAULT false,
  born_release text NOT NULL,
  status text NOT NULL DEFAULT 'onboarding' CHECK (status IN ('active', 'suspended', 'onboarding')),
  created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS registry.route (
  tenant text PRIMARY KEY REFERENCES registry.tenant ON DELETE CASCADE,
  release text NOT NULL,
  pin text NOT NULL,
  since timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS registry.tenant_state (
  tenant text NOT NULL REFERENCES registry.tenant ON DELETE CASCADE,
  mirror text NOT NULL,
  position text NOT NULL,
  epoch bigint NOT NULL,
  rows bigint NOT NULL DEFAULT 0,
  bytes bigint NOT NULL DEFAULT 0,
  dirty bigint NOT NULL DEFAULT 0,
  rate_rows_per_s double precision,
  as_of timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant, mirror));
CREATE TABLE IF NOT EXISTS registry.hold (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  environment text NOT NULL,
  wave text,
  hashes text[] NOT NULL,
  who text NOT NULL,
  why text NOT NULL,
  since timestamptz NOT NULL DEFAULT now(),
  released_at timestamptz);
CREATE UNIQUE INDEX IF NOT EXISTS hold_in_force ON registry.hold (environment, coalesce(wave, ''), hashes)
  WHERE released_at IS NULL;
CREATE TABLE IF NOT EXISTS registry.verification (
  environment text NOT NULL,
  release text NOT NULL,
  hash text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  evidence jsonb NOT NULL);
CREATE INDEX IF NOT EXISTS verification_newest ON registry.verification (environment, hash, at DESC);
CREATE TABLE IF NOT EXISTS registry.promotion_record (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  environment text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('promotion', 'rollback', 'finalize')),
  from_pin text,
  to_pin text NOT NULL,
  who text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  reviewed boolean NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}');
CREATE INDEX IF NOT EXISTS promotion_record_newest ON registry.promotion_record (environment, id DESC);
CREATE TABLE IF NOT EXISTS registry.wave_step (
  environment text NOT NULL,
  wave text NOT NULL,
  pin text NOT NULL,
  step text NOT NULL,
  status text NOT NULL,
  waiting_until timestamptz,
  as_of timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (environment, wave, pin, step));
CREATE TABLE IF NOT EXISTS registry.traffic (
  environment text PRIMARY KEY,
  newer text NOT NULL,
  older text,
  pin text NOT NULL,
  percent int NOT NULL CHECK (percent BETWEEN 0 AND 100),
  paths jsonb NOT NULL,
  is_proven boolean NOT NULL DEFAULT false,
  waiting_until timestamptz,
  as_of timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS registry.rescinded (
  hash text PRIMARY KEY,
  who text NOT NULL,
  why text NOT NULL,
  at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS registry.program (
  environment text PRIMARY KEY,
  knows text[] NOT NULL,
  git_commit text,
  at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS registry.observation (
  tenant text PRIMARY KEY REFERENCES registry.tenant ON DELETE CASCADE,
  evidence text NOT NULL,
  census jsonb NOT NULL,
  as_of timestamptz NOT NULL DEFAULT now());
CREATE OR REPLACE FUNCTION registry.notify_route() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  present jsonb := to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END);
BEGIN
  PERFORM pg_notify('${routeChannel}', jsonb_build_object(
    'tenant', coalesce(present ->> 'tenant', present ->> 'id'), 'release', present ->> 'release',
    'pin', present ->> 'pin', 'status', present ->> 'status', 'op', lower(TG_OP))::text);
  RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION registry.notify_traffic() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  PERFORM pg_notify('${routeChannel}', jsonb_build_object('traffic', lower(TG_OP))::text);
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER route_moved AFTER UPDATE ON registry.route FOR EACH ROW
  WHEN (OLD.release IS DISTINCT FROM NEW.release OR OLD.pin IS DISTINCT FROM NEW.pin)
  EXECUTE FUNCTION registry.notify_route();
CREATE OR REPLACE TRIGGER route_added AFTER INSERT OR DELETE ON registry.route FOR EACH ROW
  EXECUTE FUNCTION registry.notify_route();
CREATE OR REPLACE TRIGGER tenant_status AFTER UPDATE ON registry.tenant FOR EACH ROW
  WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION registry.notify_route();
CREATE OR REPLACE TRIGGER traffic_shared AFTER INSERT OR UPDATE OR DELETE ON registry.traffic FOR EACH STATEMENT
  EXECUTE FUNCTION registry.notify_traffic();
CREATE TABLE IF NOT EXISTS registry.schema_digest (digest text PRIMARY KEY);
DELETE FROM registry.schema_digest;
`;

const digest = createHash("sha256").update(ddl).digest("hex");

/**
 * Creates the registry's tables in its database and grants: rc_reader reads everything, release roles read tenants and
 * routes. Idempotent; runs at once take turns. The database itself is made by the Database component.
 * @param url login that may become rc_migrator; the path names the registry's database
 * @param releaseRoles login roles of the releases, e.g. `platform_r1`; roles that do not exist are an error
 */
export async function ensureRegistry(url: string, releaseRoles: readonly string[] = []): Promise<void> {
  const pool = new RegistryPool(url);
  try {
    await pool.transaction(async (session) => {
      await session.query("SELECT pg_advisory_xact_lock(hashtext('rc.registry'))");
      if (!(await isCurrent(session))) {
        await session.query(ddl);
        await session.query("INSERT INTO registry.schema_digest VALUES ($1)", [digest]);
      }
      await grant(session, releaseRoles);
    });
  } finally {
    await pool.close();
  }
}

/** Spares running fleets the table locks that even a repeated CREATE TRIGGER takes. */
async function isCurrent(session: RegistrySession): Promise<boolean> {
  const [table] = await session.query<{ is_there: boolean }>(
    "SELECT to_regclass('registry.schema_digest') IS NOT NULL AS is_there",
  );
  if (table?.is_there !== true) return false;
  const rows = await session.query("SELECT FROM registry.schema_digest WHERE digest = $1", [digest]);
  return rows.length > 0;
}

async function grant(session: RegistrySession, releaseRoles: readonly string[]): Promise<void> {
  // Role names come from the caller: format('%I') quotes them.
  await session.query(`DO $$ BEGIN
    EXECUTE format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO rc_reader', current_database());
    GRANT USAGE ON SCHEMA registry TO rc_reader;
    GRANT SELECT ON ALL TABLES IN SCHEMA registry TO rc_reader;
  END $$`);
  const statements = await session.query<{ statement: string }>(
    `SELECT format(pattern, role, current_database()) AS statement FROM unnest($1::text[]) AS role, unnest(ARRAY[
       'GRANT CONNECT ON DATABASE %2$I TO %1$I', 'GRANT USAGE ON SCHEMA registry TO %1$I',
       'GRANT SELECT ON registry.tenant, registry.route TO %1$I']) AS pattern`,
    [releaseRoles],
  );
  for (const { statement } of statements) await session.query(statement);
}
