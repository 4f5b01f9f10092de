import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { environmentKey } from "./history.ts";
import type { History, HistoryEntry, HistoryReading } from "./history.ts";

/**
 * History of a self-managed `file://` backend, read from its own files: `.pulumi/history/<project>/<stack>/*.history.json`.
 * Unlike `pulumi stack history` it survives a truncated entry (a full disk, a copy under way): that entry becomes a warning.
 */
export class FileHistory implements History {
  readonly #folders: readonly string[];
  readonly #stack: string;

  /** @param backendUrl `file:///absolute/path` or `file://~`; @throws when the backend is not a `file://` one */
  constructor(backendUrl: string, project: string, stack: string) {
    const root = join(backendFolder(backendUrl), ".pulumi", "history");
    // Backends made before Pulumi 3.61 know no project folder; their entries are told apart by the config namespace.
    this.#folders = [join(root, project, stack), join(root, stack)];
    this.#stack = stack;
  }

  async read(): Promise<HistoryReading> {
    const warnings: string[] = [];
    const entries: { entry: HistoryEntry; order: bigint }[] = [];
    for (const folder of this.#folders) {
      for (const name of await historyFiles(folder, this.#stack)) {
        const path = join(folder, name);
        const entry = await readEntry(path).catch((error: Error) => {
          warnings.push(`${path} is left out: ${error.message}`);
          return undefined;
        });
        if (entry) entries.push({ entry, order: orderOf(name) });
      }
    }
    entries.sort((a, b) => (a.order < b.order ? 1 : a.order > b.order ? -1 : 0));
    return { entries: entries.map(({ entry }) => entry), warnings };
  }
}

/** True for a backend whose history lies in files this process can read. */
export function isFileBackend(backendUrl: string): boolean {
  return backendUrl.startsWith("file://");
}

function backendFolder(backendUrl: string): string {
  if (!isFileBackend(backendUrl)) {
    throw new Error(`backend ${backendUrl} keeps no files here; allowed: file://<folder>`);
  }
  const [path = ""] = backendUrl.slice("file://".length).split("?");
  if (path === "" || path.startsWith("~")) return join(process.env["HOME"] ?? "/", path.slice(1));
  return path.startsWith("/") ? fileURLToPath(`file://${path}`) : join(process.cwd(), path);
}

async function historyFiles(folder: string, stack: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => name.startsWith(`${stack}-`) && name.endsWith(".history.json"));
}

/** Nanoseconds in the file's name: two updates can end within one second, which the entry itself rounds to. */
function orderOf(name: string): bigint {
  const digits = /-(\d+)\.history\.json$/.exec(name)?.[1];
  return digits === undefined ? 0n : BigInt(digits);
}

async function readEntry(path: string): Promise<HistoryEntry> {
  const raw: unknown = JSON.parse(await readFile(path, "utf8"));
  if (!isRecord(raw) || typeof raw["kind"] !== "string" || typeof raw["startTime"] !== "number") {
    throw new Error("it is no history entry (kind or startTime is missing)");
  }
  const surroundings = isRecord(raw["environment"]) ? raw["environment"] : {};
  const config = isRecord(raw["config"]) ? raw["config"] : {};
  const endTime = raw["endTime"];
  return {
    kind: raw["kind"],
    result: raw["result"] as HistoryEntry["result"],
    startedAt: new Date(raw["startTime"] * 1000),
    endedAt: typeof endTime === "number" && endTime > 0 ? new Date(endTime * 1000) : undefined,
    message: typeof raw["message"] === "string" ? raw["message"] : "",
    gitHead: typeof surroundings["git.head"] === "string" ? surroundings["git.head"] : undefined,
    environment: plainValue(config[environmentKey]),
  };
}

/** A config value as the file keeps it: an object as itself, text as text, a secret as `{secure}` - which is none of our business. */
function plainValue(value: unknown): unknown {
  if (typeof value === "string") return parsedOrUndefined(value);
  return isRecord(value) && !("secure" in value && Object.keys(value).length === 1) ? value : undefined;
}

function parsedOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
