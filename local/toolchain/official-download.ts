import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { chmod, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";
import { cacheFolder } from "../folders.ts";

/** The archive that the makers of a tool publish. */
export interface OfficialDownload {
  readonly url: string;
  /** Folder inside the archive that holds the binaries; "" for its top. */
  readonly folder: string;
  /** The address is no archive but the binary itself, which gets this name. */
  readonly binary?: string;
}

/** Days until an address that did not answer is asked again. */
const rememberDays = 1;
const answerTimeoutMs = 8000;
/** Remembers, for all checkouts, which addresses did not answer. */
const defaultMemoryFile = (): string => join(cacheFolder(), "unreachable.json");

async function readMemory(memoryFile: string): Promise<Record<string, string>> {
  try {
    return JSON.parse(await readFile(memoryFile, "utf8")) as Record<string, string>;
  } catch {
    return {};
  }
}

/** Whether the address was asked lately and did not answer; then asking again would only cost time. */
export async function isKnownUnreachable(
  url: string,
  memoryFile: string = defaultMemoryFile(),
  now: Date = new Date(),
): Promise<boolean> {
  const since = (await readMemory(memoryFile))[new URL(url).host];
  return since !== undefined && now.getTime() - Date.parse(since) < rememberDays * 86_400_000;
}

async function rememberUnreachable(url: string, memoryFile: string): Promise<void> {
  const memory = { ...(await readMemory(memoryFile)), [new URL(url).host]: new Date().toISOString() };
  await mkdir(dirname(memoryFile), { recursive: true });
  const unfinished = `${memoryFile}.${randomBytes(4).toString("hex")}`;
  await writeFile(unfinished, `${JSON.stringify(memory, undefined, 2)}\n`);
  await rename(unfinished, memoryFile);
}

/**
 * Downloads and unpacks an official archive.
 * @param binFolder gets the binaries, whole or not at all
 * @returns whether it worked; false when the address cannot be reached, which is remembered for a day
 */
export async function downloadOfficial(
  download: OfficialDownload,
  binFolder: string,
  memoryFile: string = defaultMemoryFile(),
): Promise<boolean> {
  if (await isKnownUnreachable(download.url, memoryFile)) return false;
  const response = await askOnce(download.url);
  if (!response?.body) {
    await rememberUnreachable(download.url, memoryFile);
    return false;
  }
  await mkdir(dirname(binFolder), { recursive: true });
  const work = `${binFolder}.${randomBytes(4).toString("hex")}`;
  try {
    await mkdir(work, { recursive: true });
    const archive = join(work, download.url.slice(download.url.lastIndexOf("/") + 1));
    await pipeline(Readable.fromWeb(response.body), createWriteStream(archive));
    const unpacked = join(work, "unpacked");
    await mkdir(unpacked);
    if (download.binary !== undefined) await rename(archive, join(unpacked, download.binary));
    // Python's zipfile instead of unzip: python3 is needed anyway.
    else if (archive.endsWith(".zip")) await execa("python3", ["-m", "zipfile", "-e", archive, unpacked]);
    else await execa("tar", ["-xzf", archive, "-C", unpacked]);
    const binaries = join(unpacked, download.folder);
    for (const name of await readdir(binaries)) await chmod(join(binaries, name), 0o755);
    await rm(binFolder, { recursive: true, force: true });
    await rename(binaries, binFolder);
    return true;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Whether the archive can be downloaded; asked once, and remembered for a day when it cannot. */
export async function isDownloadReachable(
  download: OfficialDownload,
  memoryFile: string = defaultMemoryFile(),
): Promise<boolean> {
  if (await isKnownUnreachable(download.url, memoryFile)) return false;
  const response = await askOnce(download.url, "HEAD");
  if (response !== undefined) return true;
  await rememberUnreachable(download.url, memoryFile);
  return false;
}

async function askOnce(url: string, method: "GET" | "HEAD" = "GET"): Promise<Response | undefined> {
  const headersInTime = new AbortController();
  const timer = setTimeout(() => headersInTime.abort(), answerTimeoutMs);
  try {
    const response = await fetch(url, { method, signal: headersInTime.signal });
    return response.ok ? response : undefined;
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}
