import type pg from "pg";
import { connect } from "../../migrations/postgres/connect.ts";
import { findObstacles } from "../../migrations/mirror/preflight.ts";
import type { MirrorDefinition } from "../../migrations/mirror/definition.ts";
import { allMirrors } from "../../migrations/mirrors.ts";
import { readMirrors } from "../../migrations/ledger/position.ts";
import { currentRevision } from "../../migrations/schema/alembic.ts";
import { databaseUrl } from "../../migrations/schema/database-url.ts";
import { fine, looked, missing, toDecide } from "./finding.ts";
import type { Finding } from "./finding.ts";

/** One tenant database to look at. */
export interface LookedDatabase {
  readonly name: string;
  /** Alembic revisions that the releases pinned for it run with; empty: nobody knows. */
  readonly revisions: readonly string[];
}

/** Tables, owners, extension and revision of tenants' databases, with the region's own login in read-only sessions. */
export async function lookAtTenantDatabases(
  url: string,
  databases: readonly LookedDatabase[],
  releaseRoles: readonly string[],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const database of databases) {
    const subject = `database ${database.name}`;
    const found = await looked(subject, "check that the login may connect to it", () =>
      lookAt(url, database, subject, releaseRoles),
    );
    findings.push(
      ...(found.length === 0 ? [fine(subject, "tables, owners, extension and revision are as needed")] : found),
    );
  }
  return findings;
}

async function lookAt(
  url: string,
  { name, revisions }: LookedDatabase,
  subject: string,
  releaseRoles: readonly string[],
): Promise<Finding[]> {
  const client = await connect({ url, database: name, applicationName: "rc-doctor", isReadOnly: true });
  try {
    const mirrors = await readMirrors(client);
    const findings: Finding[] = [];
    for (const definition of allMirrors()) {
      const position = mirrors.get(definition.name)?.position ?? "off";
      if (position !== "retired") findings.push(...(await lookForLeaves(client, subject, definition)));
      const obstacles = await findObstacles(client, name, definition, releaseRoles);
      findings.push(...obstacles.map(({ table, reason, mend }) => missing(subject, `${table}: ${reason}`, mend)));
    }
    findings.push(...(await lookAtOwners(client, subject)), ...(await lookAtVector(client, subject)));
    const revision = await currentRevision(databaseUrl(url, name, { isReadOnly: true }));
    findings.push(...revisionFindings(subject, revision, revisions));
    return findings;
  } finally {
    await client.end();
  }
}

/** A mirror copies tables of (key, payload); where the payload still stands in another table, that one is named. */
async function lookForLeaves(client: pg.Client, subject: string, { pairs }: MirrorDefinition): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { source, key, payload, parent } of pairs) {
    const { rows } = await client.query<{ name: string }>(
      `SELECT c.relname::text AS name FROM pg_class AS c LEFT JOIN pg_attribute AS a
         ON a.attrelid = c.oid AND a.attname = $3 AND NOT a.attisdropped
       WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
         AND (c.relname = $1 OR c.relname = $2 AND a.attname IS NOT NULL)`,
      [source, parent ?? "", payload],
    );
    if (rows.some(({ name }) => name === source)) continue;
    const inline = rows.length > 0 ? `${parent} holds ${payload} inline, and there` : "there";
    const columns = `${[key].flat().join(", ")}, ${payload}`;
    findings.push(
      missing(
        subject,
        `${inline} is no table ${source}`,
        `an Alembic step that moves ${payload} into ${source} (${columns}) with a primary key on ${[key].flat().join(", ")}`,
      ),
    );
  }
  return findings;
}

async function lookAtOwners(client: pg.Client, subject: string): Promise<Finding[]> {
  const { rows } = await client.query<{ owner: string; tables: string[] }>(
    `SELECT pg_get_userbyid(relowner)::text AS owner, array_agg(relname::text ORDER BY relname) AS tables
     FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
       AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
       AND pg_get_userbyid(relowner) <> 'rc_migrator' GROUP BY 1 ORDER BY 1`,
  );
  return rows.map(({ owner, tables }) =>
    missing(
      subject,
      `${tables.join(", ")} ${tables.length === 1 ? "belongs" : "belong"} to ${owner}, allowed is rc_migrator`,
      tables.map((table) => `ALTER TABLE ${table} OWNER TO rc_migrator`).join("; "),
    ),
  );
}

async function lookAtVector(client: pg.Client, subject: string): Promise<Finding[]> {
  const { rowCount } = await client.query("SELECT FROM pg_extension WHERE extname = 'vector'");
  return rowCount === 0 ? [missing(subject, "the extension vector is not installed", "CREATE EXTENSION vector")] : [];
}

function revisionFindings(subject: string, revision: string | undefined, allowed: readonly string[]): Finding[] {
  if (revision === undefined)
    return [
      missing(
        subject,
        "Alembic has never run here",
        "compare the tables with migrations/alembic/versions, then alembic stamp 0001",
      ),
    ];
  if (allowed.length === 0 || allowed.includes(revision)) return [];
  return [
    toDecide(
      subject,
      `Alembic is at ${revision}; the pinned releases run with ${allowed.join(", ")}`,
      "pin the release that this schema belongs to, or let a promotion move it",
    ),
  ];
}
