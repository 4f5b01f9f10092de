import type { BackendFiles } from "../backend/backend-files.ts";
import { environmentKey } from "./history.ts";
import type { History, HistoryEntry, HistoryReading } from "./history.ts";

/**
 * History of a self-managed backend, read from its own files: `.pulumi/history/<project>/<stack>/*.history.json`.
 * Unlike `pulumi stack history` it survives a truncated entry (a full disk, a copy under way): that entry becomes a warning.
 */
export class FileHistory implements History {
  readonly #files: BackendFiles;
  readonly #folders: readonly string[];
  readonly #stack: string;

  constructor(files: BackendFiles, project: string, stack: string) {
    this.#files = files;
    // Backends made before Pulumi 3.61 know no project folder; their entries are told apart by the config namespace.
    this.#folders = [`${project}/${stack}`, stack];
    this.#stack = stack;
  }

  async read(): Promise<HistoryReading> {
    const warnings: string[] = [];
    const entries: { entry: HistoryEntry; order: bigint }[] = [];
    for (const folder of this.#folders) {
      const prefix = `.pulumi/history/${folder}/${this.#stack}-`;
      const keys = (await this.#files.list(prefix)).filter((key) =>
        /^[^/]*\.history\.json$/.test(key.slice(prefix.length)),
      );
      for (const key of keys) {
        try {
          entries.push({ entry: entryIn((await this.#files.read(key)) ?? ""), order: orderOf(key) });
        } catch (error) {
          warnings.push(`${key} is left out: ${(error as Error).message}`);
        }
      }
    }
    entries.sort((a, b) => (a.order < b.order ? 1 : a.order > b.order ? -1 : 0));
    return { entries: entries.map(({ entry }) => entry), warnings };
  }
}

/** Nanoseconds in the file's name: two updates can end within one second, which the entry itself rounds to. */
function orderOf(name: string): bigint {
  const digits = /-(\d+)\.history\.json$/.exec(name)?.[1];
  return digits === undefined ? 0n : BigInt(digits);
}

function entryIn(text: string): HistoryEntry {
  const raw: unknown = JSON.parse(text);
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
