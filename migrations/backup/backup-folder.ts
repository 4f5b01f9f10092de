import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { Transform, type Readable, type TransformCallback } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ManifestError, parseManifest, type Manifest } from "./manifest.ts";

/** A whole backup as a listing finds it. */
export interface ListedBackup {
  readonly manifest: Manifest;
  /** True from `expiresAt` on. */
  readonly isExpired: boolean;
}

/** What a stream was when it had been written. */
export interface WrittenStream {
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * The backups of one environment: `<root>/<environment>/<tenant>/<id>/` with `dump` (sealed) and `manifest.json`. A backup is
 * written beside, under `<id>.partial`, and gets its name by one rename after all of it is on disk: what has a name is
 * whole, what has none is swept by the tenant's next backup.
 */
export class BackupFolder {
  readonly environment: string;
  readonly #folder: string;

  /** @param root an absolute path, or a `file://` URL; a mounted bucket is as good as a disk. @throws {Error} any other */
  constructor(root: string, environment: string) {
    const path = root.startsWith("file://") ? decodeURIComponent(new URL(root).pathname) : root;
    if (!isAbsolute(path))
      throw new Error(
        `backup.to is ${JSON.stringify(root)}; allowed is an absolute path or file:///path: mount the store and name its folder`,
      );
    this.environment = environment;
    this.#folder = join(path, environment);
  }

  /** Ledger of tenants that were shredded; see shred-ledger.ts. */
  get shredLedgerFile(): string {
    return join(this.#folder, "shredded.jsonl");
  }

  /** Tenants that have a folder here, whatever is in it. */
  async tenants(): Promise<string[]> {
    const found = await readdir(this.#folder, { withFileTypes: true }).catch(noneIfAbsent);
    return found.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  }

  /** Whole backups of a tenant, newest first. @throws {ManifestError} naming one whose manifest cannot be read */
  async list(tenant: string, now = new Date()): Promise<ListedBackup[]> {
    const entries = await readdir(join(this.#folder, tenant), { withFileTypes: true }).catch(noneIfAbsent);
    const ids = entries.filter((entry) => entry.isDirectory() && isBackupId(entry.name)).map(({ name }) => name);
    const manifests = await Promise.all(ids.map((id) => this.read(tenant, id)));
    return manifests
      .sort((a, b) => (a.id < b.id ? 1 : -1))
      .map((manifest) => ({ manifest, isExpired: manifest.expiresAt <= now.toISOString() }));
  }

  /** @throws {ManifestError} there is no such backup, or its manifest cannot be read or is another one's */
  async read(tenant: string, id: string): Promise<Manifest> {
    const file = join(this.#place(tenant, id), "manifest.json");
    const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      throw new ManifestError(`tenant ${tenant} has no backup ${id}; coordinator backup list shows those it has`);
    });
    const manifest = parseManifest(text, file);
    if (manifest.id === id && manifest.tenant === tenant && manifest.environment === this.environment) return manifest;
    throw new ManifestError(
      `${file} is of backup ${manifest.id} of tenant ${manifest.tenant} in ${manifest.environment}; it was moved: put it back`,
    );
  }

  /** The sealed stream of a backup. */
  readDump(tenant: string, id: string): Readable {
    return createReadStream(join(this.#place(tenant, id), "dump"), { highWaterMark: 1_048_576 });
  }

  /** Removes what a killed run has left of the tenant's backups. Call it only under the tenant's backup lock. */
  async sweep(tenant: string): Promise<void> {
    const entries = await readdir(join(this.#folder, tenant)).catch(noneIfAbsent);
    const left = entries.map(String).filter((name) => name.endsWith(partial));
    for (const name of left) await rm(join(this.#folder, tenant, name), { recursive: true, force: true });
  }

  /**
   * Writes a backup: the stream, then what `describe` makes of it, then the name.
   * @throws what the stream, `describe` or the disk say; nothing of the backup is left then
   */
  async write(
    tenant: string,
    id: string,
    sealed: Readable,
    describe: (written: WrittenStream) => Promise<Manifest>,
  ): Promise<Manifest> {
    const place = this.#place(tenant, id);
    const unfinished = `${place}${partial}`;
    await mkdir(unfinished, { recursive: true, mode: 0o700 });
    try {
      const meter = new Meter();
      const file = join(unfinished, "dump");
      await pipeline(sealed, meter, createWriteStream(file, { mode: 0o600, flags: "wx", flush: true }));
      const manifest = await describe({ bytes: meter.bytes, sha256: meter.digest() });
      const manifestFile = join(unfinished, "manifest.json");
      await writeFile(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600, flush: true });
      await rename(unfinished, place);
      await syncFolder(join(this.#folder, tenant));
      return manifest;
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true }).catch(() => undefined);
      throw error;
    }
  }

  /** Removes a backup; one that is gone is fine. What it was keeps its name until all of it is away. */
  async remove(tenant: string, id: string): Promise<void> {
    const place = this.#place(tenant, id);
    // Without its name it is no backup any more, also when this is killed before the files are gone.
    await rename(place, `${place}${partial}`).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    await rm(`${place}${partial}`, { recursive: true, force: true });
  }

  #place(tenant: string, id: string): string {
    if (!/^[a-z][a-z0-9-]{1,40}$/.test(tenant))
      throw new TypeError(`tenant id ${JSON.stringify(tenant)} is not allowed`);
    if (!isBackupId(id))
      throw new ManifestError(`${JSON.stringify(id)} is no backup id; coordinator backup list shows them`);
    return join(this.#folder, tenant, id);
  }
}

const partial = ".partial";

function isBackupId(name: string): boolean {
  return /^\d{8}T\d{6}Z-[0-9a-f]{8}$/.test(name);
}

/** Counts and digests what passes. */
class Meter extends Transform {
  bytes = 0;
  readonly #hash = createHash("sha256");

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
    done(null, chunk);
  }

  digest(): string {
    return this.#hash.digest("hex");
  }
}

/** A rename is on disk only when the folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function noneIfAbsent(error: NodeJS.ErrnoException): never[] {
  if (error.code === "ENOENT") return [];
  throw error;
}
