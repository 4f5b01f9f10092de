import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readFileSync, writeSync } from "node:fs";

export type TrafficOperation =
  | "prompt-create"
  | "prompt-update"
  | "prompt-delete"
  | "prompt-read"
  | "prompt-list"
  | "conversation-create"
  | "message-create"
  | "message-read"
  | "search";

/** What one operation is about; a write is logged with it before the first byte is sent. */
export interface TrafficIntent {
  /** Process run that did it: a log is continued by later runs. */
  readonly run: string;
  /** Number within the run, 1 and up: names the operation together with `run`. */
  readonly seq: number;
  readonly worker: number;
  readonly tenant: string;
  readonly op: TrafficOperation;
  /** Record it is about; null for a create whose answer is not known. */
  readonly id: string | null;
  /** Conversation of a message. */
  readonly parent?: string;
  readonly idempotencyKey?: string;
  /** Of the body (a conversation: its title) in UTF-8, as written or, for a read, as it came back. */
  readonly sha256?: string;
  /** ISO 8601, UTC. */
  readonly at: string;
}

/** `failed`: HTTP 4xx or 5xx that was not (or was for too long) the fence. `unknown`: no answer came. */
export type TrafficResult = "ok" | "failed" | "unknown";

/** One finished operation. */
export interface TrafficEntry extends TrafficIntent {
  readonly result: TrafficResult;
  /** HTTP status of the last answer; null when none came. */
  readonly status: number | null;
  /** The `error` of a refusal, e.g. `fenced`. */
  readonly refusal?: string;
  /** From the first byte to the last answer, waits included. */
  readonly ms: number;
  /** Times that the fence was met and waited for. */
  readonly fencedRetries: number;
  /** From the first answer of the fence to the last answer. */
  readonly fencedMs: number;
  /** Times that no answer came and the same Idempotency-Key was sent again. */
  readonly unknownRetries: number;
}

/** What a log says, in the order of its lines. */
export interface TrafficLogContent {
  readonly runs: readonly string[];
  /** Finished operations; a write stands where it finished. */
  readonly entries: readonly TrafficEntry[];
  /** Writes that were begun and never finished, because the generator was killed: outcome unknown. */
  readonly unfinished: readonly TrafficIntent[];
}

/** Append-only NDJSON of a generator. Every line is handed to the operating system before the next step is taken. */
export class TrafficLog {
  readonly #descriptor: number;

  constructor(file: string) {
    // A generator that was killed may have left half a line; it must not swallow the first one of this run.
    const isTorn = existsSync(file) && !/(^|\n)$/.test(readFileSync(file, "utf8").slice(-1));
    this.#descriptor = openSync(file, "a");
    if (isTorn) writeSync(this.#descriptor, "\n");
  }

  /** First line of a run. */
  open(run: string, detail: object): void {
    this.#append({ run, opened: detail, at: new Date().toISOString() });
  }

  begin(intent: TrafficIntent): void {
    this.#append({ ...intent, result: "begun" });
  }

  end(entry: TrafficEntry): void {
    this.#append(entry);
  }

  /** Last line of a run that was asked to end. */
  close(run: string, summary: object): void {
    this.#append({ run, summary, at: new Date().toISOString() });
    closeSync(this.#descriptor);
  }

  #append(line: object): void {
    writeSync(this.#descriptor, `${JSON.stringify(line)}\n`);
  }
}

/**
 * Reads a log; one that does not exist is empty.
 * @throws Error naming the line that is no JSON, unless it is the last one of a run: that one was killed while writing
 */
export function readTrafficLog(file: string): TrafficLogContent {
  const runs: string[] = [];
  const entries: TrafficEntry[] = [];
  const begun = new Map<string, TrafficIntent>();
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
  let torn: number | undefined;
  for (const [index, text] of lines.entries()) {
    if (text === "") continue;
    const line = parse(text);
    if (torn !== undefined && line?.["opened"] === undefined) {
      throw new Error(
        `${file}:${torn + 1} is no JSON: the traffic log was edited or its disk is faulty; begin a new log`,
      );
    }
    torn = line === undefined ? index : undefined;
    if (line === undefined || line["summary"] !== undefined) continue;
    const name = `${String(line["run"])} ${String(line["seq"])}`;
    if (line["opened"] !== undefined) runs.push(line["run"] as string);
    else if (line["result"] === "begun") begun.set(name, line as unknown as TrafficIntent);
    else {
      begun.delete(name);
      entries.push(line as unknown as TrafficEntry);
    }
  }
  return { runs, entries, unfinished: [...begun.values()] };
}

/** Lower-case hex of a text's UTF-8 bytes. */
export function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

/** Digest of a conversation as one page shows it: its messages in order. */
export function pageDigest(messages: readonly { readonly id: string; readonly sha256: string }[]): string {
  return sha256(messages.map((message) => `${message.id} ${message.sha256}\n`).join(""));
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
