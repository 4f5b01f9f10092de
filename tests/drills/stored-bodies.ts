import { join } from "node:path";
import { execa } from "execa";
import pg from "pg";
import { getVault } from "../servers.ts";
import { type BodyKind, recordName } from "./operation-log.ts";

/** Where a tenant's rows are. */
export interface BodyPlace {
  /** Superuser URL of its database. */
  readonly url: string;
  readonly environment: string;
  readonly tenant: string;
}

/** What one side of a tenant holds: digest by record, and why the others do not open. */
export interface StoredBodies {
  readonly digests: ReadonlyMap<string, string>;
  readonly closed: ReadonlyMap<string, string>;
}

const kinds: readonly BodyKind[] = ["prompt", "message"];

/** The side in clear, by plain SQL. */
export async function clearBodies(place: BodyPlace): Promise<StoredBodies> {
  const client = new pg.Client({ connectionString: place.url });
  await client.connect();
  try {
    const digests = new Map<string, string>();
    for (const kind of kinds) {
      const found = await client.query<{ id: string; digest: string }>(
        `SELECT ${kind}_id::text AS id, encode(sha256(convert_to(body, 'UTF8')), 'hex') AS digest FROM public.${kind}_bodies`,
      );
      for (const { id, digest } of found.rows) digests.set(recordName(kind, id), digest);
    }
    return { digests, closed: new Map() };
  } finally {
    await client.end();
  }
}

/** The sealed side, by stock Tink for Python and Vault: no line of the engine's cryptography is involved. */
export async function sealedBodies(place: BodyPlace): Promise<StoredBodies> {
  const { address, token } = getVault();
  const request = {
    dsn: place.url,
    environment: place.environment,
    tenant: place.tenant,
    vaultAddress: address,
    vaultToken: token,
    mount: `transit-${place.environment}`,
    kek: `kek-${place.tenant}`,
    tables: kinds.map((kind) => ({ table: `${kind}_bodies_sealed`, key: `${kind}_id`, kind: `${kind}.body` })),
  };
  const reader = join(import.meta.dirname, "..", "workload", "read_sealed.py");
  const { stdout } = await execa(process.env["RC_PYTHON"] ?? "python3", [reader], { input: JSON.stringify(request) });
  const digests = new Map<string, string>();
  const closed = new Map<string, string>();
  for (const line of stdout.split("\n").filter((text) => text !== "")) {
    const [id = "", digest = "", table = "", reason = ""] = line.split(" ");
    const record = recordName(table === "prompt_bodies_sealed" ? "prompt" : "message", id);
    if (digest === "-") closed.set(record, reason);
    else digests.set(record, digest);
  }
  return { digests, closed };
}
