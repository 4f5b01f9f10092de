import { openBucket } from "./bucket-files.ts";
import { FolderFiles } from "./folder-files.ts";
import { openTable } from "./table-files.ts";

/**
 * The files of a self-managed Pulumi backend, as Pulumi itself lays them out: a folder, a bucket or a table. Pulumi keeps its own
 * under `.pulumi/`; what this program keeps beside them stands under `.release-coordinator/`.
 */
export interface BackendFiles {
  /** Keys that begin with a prefix, in the order of their bytes. */
  list(prefix: string): Promise<string[]>;
  /** The text under a key; undefined: there is none. */
  read(key: string): Promise<string | undefined>;
  /**
   * Writes a new file whole or not at all, and never over another one.
   * @returns false when the key is taken: what is there stays
   */
  create(key: string, text: string): Promise<boolean>;
  close(): Promise<void>;
}

/** Backends whose files this process can reach, for messages. */
export const reachableBackends = "file://, s3:// and postgres://";

/**
 * Opens what a backend URL names, with the credentials that Pulumi itself would take.
 * @returns undefined for a backend without files within reach: Pulumi Cloud, Azure, Google
 * @throws when the URL is none
 */
export async function openBackendFiles(url: string): Promise<BackendFiles | undefined> {
  if (url.startsWith("file://")) return new FolderFiles(url);
  if (url.startsWith("s3://")) return openBucket(url);
  if (/^postgres(ql)?:\/\//.test(url)) return openTable(url);
  return undefined;
}
