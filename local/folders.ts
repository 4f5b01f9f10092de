import { createHash } from "node:crypto";
import { chmod, mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** Repository root: the folder that holds package.json. */
export const repositoryFolder = resolve(import.meta.dirname, "..");

const isRoot = (): boolean => process.getuid?.() === 0;

/**
 * Folder of everything that is built or downloaded, shared by all checkouts of this user and keyed by version.
 * For root outside of the home: a 0700 home cannot be traversed by the unprivileged user that PostgreSQL runs as.
 */
export function cacheFolder(): string {
  if (isRoot()) return "/var/cache/release-coordinator";
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "release-coordinator");
}

/** `.local` of the platform: endpoints, secrets, pid files, logs, Pulumi's backend. `RC_HOME` or `<repository>/.local`. */
export function homeFolder(): string {
  return resolve(process.env["RC_HOME"] || join(repositoryFolder, ".local"));
}

/** Folder of the servers' data. Derived from the home folder, so that two platforms never share one. */
export function dataFolder(home: string = homeFolder()): string {
  const key = createHash("sha256").update(resolve(home)).digest("hex").slice(0, 12);
  const root = isRoot()
    ? "/var/lib/release-coordinator"
    : join(process.env["XDG_DATA_HOME"] || join(homedir(), ".local", "share"), "release-coordinator");
  return join(root, key);
}

/** Creates the parent of the servers' data folders: others may pass through to their own folder, and list nothing. */
export async function ensureDataFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  // Explicitly, because mkdir's mode is cut by the umask and PostgreSQL's account must get through.
  await chmod(folder, 0o711);
}
