import { createHash, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import type { Position } from "../ledger/position.ts";
import { associatedData } from "../tink/associated-data.ts";
import type { StreamingKeyset } from "../tink/streaming-keyset.ts";

/** Rows of one table and a digest of them that does not depend on their order. */
export interface TableDigest {
  /** `schema.table`. */
  readonly table: string;
  readonly rows: number;
  /** Hex. */
  readonly digest: string;
}

/** What a dump is of, and what it takes to restore it. Plain JSON beside the sealed dump; holds no row and no open key. */
export interface Manifest {
  readonly format: 1;
  /** Time and 8 random hex digits: `20270118T091500Z-0a1b2c3d`. */
  readonly id: string;
  readonly environment: string;
  readonly tenant: string;
  /** ISO 8601, UTC. */
  readonly takenAt: string;
  /** From then on `coordinator backup expire` and every update remove it. */
  readonly expiresAt: string;
  /** What it was taken before, e.g. `prepare r2@4f1c9e2a0b11`; `request`: a person asked for it. */
  readonly before: string;
  /** Position of the write-ahead log at the snapshot. */
  readonly lsn: string;
  /** PostgreSQL's server_version_num. */
  readonly serverVersion: number;
  /** Alembic's revision; null before the first one. */
  readonly schemaRevision: string | null;
  readonly release: string;
  readonly pin: string;
  readonly positions: Readonly<Record<string, Position>>;
  /** SHA-256 over the digests of all tables of schema rc, hex. */
  readonly ledgerRoot: string;
  readonly keyVersions: {
    /** Oldest version of the KEK that wraps a keyset in the dump, or the one below. */
    readonly oldestKek: number;
    /** Newest version of each keyset, by class. */
    readonly keysets: Readonly<Record<string, number>>;
  };
  readonly tables: readonly TableDigest[];
  /** Extensions of the database; made before the restore. */
  readonly extensions: readonly string[];
  /** The sealed stream. */
  readonly sealed: { readonly bytes: number; readonly sha256: string };
  /** The keyset that seals the stream, as an EncryptedKeyset in base64: it opens without the database it came from. */
  readonly keyset: string;
  /** HMAC-SHA256 of all the above under a key derived from that keyset, hex. */
  readonly mac: string;
}

/** A manifest that is malformed, or that its own keys did not write. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";
}

/** What the sealed stream of a backup is bound to. */
export function streamContext({ environment, tenant, id }: Pick<Manifest, "environment" | "tenant" | "id">): Buffer {
  return associatedData(environment, tenant, "backup.dump", id);
}

/** Adds the MAC. */
export function signManifest(manifest: Omit<Manifest, "mac">, keyset: StreamingKeyset): Manifest {
  return { ...manifest, mac: macOf(manifest, keyset).toString("hex") };
}

/** @throws {ManifestError} something in it was changed, or another keyset signed it */
export function checkManifest(manifest: Manifest, keyset: StreamingKeyset): void {
  const { mac, ...signed } = manifest;
  const wanted = macOf(signed, keyset);
  const seen = Buffer.from(mac, "hex");
  if (seen.length === wanted.length && timingSafeEqual(seen, wanted)) return;
  throw new ManifestError(
    `backup ${manifest.id} of tenant ${manifest.tenant}: its manifest was changed, the MAC does not fit; restore another one: coordinator backup list`,
  );
}

/** @throws {ManifestError} not JSON, or not in this format */
export function parseManifest(text: string, where: string): Manifest {
  let found: Partial<Manifest> | null;
  try {
    found = JSON.parse(text) as Partial<Manifest> | null;
  } catch {
    found = null;
  }
  const texts = ["id", "environment", "tenant", "takenAt", "expiresAt", "before", "lsn", "release", "pin"] as const;
  const isWhole =
    found?.format === 1 &&
    texts.every((name) => typeof found[name] === "string") &&
    [found.keyset, found.mac, found.ledgerRoot, found.sealed?.sha256].every((value) => typeof value === "string") &&
    typeof found.keyVersions?.oldestKek === "number" &&
    Array.isArray(found.tables) &&
    Array.isArray(found.extensions);
  if (isWhole) return found as Manifest;
  throw new ManifestError(`${where} is no manifest of format 1; it was damaged or is of a newer program`);
}

/** One digest over the ledger's tables, in the order of their names. */
export function ledgerRootOf(tables: readonly TableDigest[]): string {
  const hash = createHash("sha256");
  for (const { table, rows, digest } of tables.filter(({ table }) => table.startsWith("rc.")))
    hash.update(`${table} ${rows} ${digest}\n`);
  return hash.digest("hex");
}

function macOf(manifest: Omit<Manifest, "mac">, keyset: StreamingKeyset): Buffer {
  const context = associatedData(manifest.environment, manifest.tenant, "backup.manifest", manifest.id);
  const key = Buffer.from(hkdfSync("sha256", keyset.primary.value, Buffer.alloc(0), context, 32));
  return createHmac("sha256", key).update(canonical(manifest)).digest();
}

/** JSON with sorted keys: the same text whoever wrote the object. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(",")}}`;
}
