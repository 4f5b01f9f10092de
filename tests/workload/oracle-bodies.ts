import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import pg from "pg";
import { databaseSuffix } from "./tenant-id.ts";
import { MARKER_PATTERN } from "./traffic-text.ts";

/** Where the databases and the keys are, and the Python that opens what is sealed. */
export interface OracleAccess {
  /** Superuser URL of the server; its database does not matter. */
  readonly postgresUrl: string;
  readonly environment: string;
  readonly vaultAddress: string;
  readonly vaultToken: string;
  /** Python with tink[hcvault] and psycopg. */
  readonly python: string;
  /** @default `transit-<environment>` */
  readonly transitMount?: string;
}

export type BodyKind = "prompt" | "message";
export type Side = "clear" | "sealed";

/** One stored body; exactly one of sha256 and reason is there. */
export interface StoredBody {
  readonly kind: BodyKind;
  readonly id: string;
  /** Of the text in UTF-8, lower-case hex. */
  readonly sha256?: string;
  /** Why it does not open: `not-tink`, `unknown-key` or `not-authentic`. */
  readonly reason?: string;
  /** Marker of the traffic generator in the text. */
  readonly marker?: string;
}

/** In the order in which `storedBodies` yields them. */
export const BODY_KINDS: readonly BodyKind[] = ["message", "prompt"];
const PAGE_ROWS = 5_000;

export function tenantUrl(access: OracleAccess, tenant: string): string {
  const url = new URL(access.postgresUrl);
  url.pathname = `/tenant_${databaseSuffix(tenant)}`;
  return url.href;
}

/** Runs `work` in one snapshot that can change nothing. */
export async function inSnapshot<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    return await work(client);
  } finally {
    await client.end();
  }
}

/**
 * The side that is authoritative, as the tenant's own database says.
 * @throws Error when the release and the mirror's position contradict each other, or nothing says who serves the tenant
 */
export async function authoritativeSide(client: pg.Client, tenant: string): Promise<Side> {
  const { rows } = await client.query<{ release: string; position: string | null }>(
    `SELECT w.release, (SELECT position FROM rc.mirror WHERE mirror = 'prompt-encryption') AS position FROM rc.whereabouts w`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`tenant ${tenant}: rc.whereabouts is empty; onboard it first`);
  const side: Side = row.release === "r1" ? "clear" : "sealed";
  const position = row.position ?? "off";
  if (["off", "mirroring"].includes(position) !== (side === "clear")) {
    throw new Error(`tenant ${tenant}: rc.whereabouts says ${row.release}, but prompt-encryption is ${position}`);
  }
  return side;
}

/** Every body of a tenant on its authoritative side: messages, then prompts, each in ascending order of ids. */
export async function* storedBodies(access: OracleAccess, tenant: string): AsyncGenerator<StoredBody> {
  const client = new pg.Client({ connectionString: tenantUrl(access, tenant) });
  await client.connect();
  try {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const side = await authoritativeSide(client, tenant);
    yield* side === "sealed" ? sealedBodies(access, tenant) : clearBodies(client);
  } finally {
    await client.end();
  }
}

async function* clearBodies(client: pg.Client): AsyncGenerator<StoredBody> {
  for (const kind of BODY_KINDS) {
    for (let after: string | null = null; ;) {
      const { rows }: pg.QueryResult<{ id: string; sha256: string; marker: string | null }> = await client.query(
        `SELECT ${kind}_id::text AS id, encode(sha256(convert_to(body, 'UTF8')), 'hex') AS sha256,
           substring(body FROM '${MARKER_PATTERN}') AS marker
         FROM public.${kind}_bodies WHERE $1::uuid IS NULL OR ${kind}_id > $1 ORDER BY ${kind}_id LIMIT ${PAGE_ROWS}`,
        [after],
      );
      for (const { id, sha256, marker } of rows) yield { kind, id, sha256, ...(marker === null ? {} : { marker }) };
      const last = rows.at(-1);
      if (last === undefined) break;
      after = last.id;
    }
  }
}

/**
 * Every sealed body of a tenant as stock Tink reads it, whichever side is authoritative.
 * @throws Error with the reader's reason when nothing can be read
 */
export async function* sealedBodies(access: OracleAccess, tenant: string): AsyncGenerator<StoredBody> {
  const reader = spawn(access.python, [join(import.meta.dirname, "read_sealed.py")], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let said = "";
  reader.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const ended = once(reader, "close") as Promise<[number | null]>;
  // A reader that cannot start says so by `close`; what it was sent is lost with it.
  reader.stdin.on("error", () => undefined);
  // By standard input: arguments and environment of a process can be read by others.
  reader.stdin.end(JSON.stringify(readerRequest(access, tenant)));
  try {
    for await (const line of createInterface({ input: reader.stdout })) {
      const [id = "", sha256 = "", table = "", rest = ""] = line.split(" ");
      const kind: BodyKind = table === "prompt_bodies_sealed" ? "prompt" : "message";
      if (sha256 === "-") yield { kind, id, reason: rest };
      else yield { kind, id, sha256, ...(rest === "-" ? {} : { marker: rest }) };
    }
    const [code] = await ended;
    if (code !== 0) throw new Error(`tenant ${tenant}: the reader of sealed bodies failed (${code}): ${said.trim()}`);
  } finally {
    reader.kill();
  }
}

/** What read_sealed.py is told on standard input. */
export function readerRequest(access: OracleAccess, tenant: string): object {
  return {
    dsn: tenantUrl(access, tenant),
    environment: access.environment,
    tenant,
    vaultAddress: access.vaultAddress,
    vaultToken: access.vaultToken,
    mount: access.transitMount ?? `transit-${access.environment}`,
    kek: `kek-${tenant}`,
    tables: BODY_KINDS.map((kind) => ({ table: `${kind}_bodies_sealed`, key: `${kind}_id`, kind: `${kind}.body` })),
    marker: MARKER_PATTERN,
  };
}
