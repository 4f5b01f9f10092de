import { pageDigest, type TrafficEntry, type TrafficIntent, type TrafficLogContent } from "./traffic-log.ts";

export type RecordKind = "prompt" | "message" | "conversation";

/** What the log knows about one record that the generator created, or may have created. */
export interface TrafficRecord {
  readonly tenant: string;
  readonly kind: RecordKind;
  /** Idempotency-Key of its create. */
  readonly key: string;
  /** Undefined when no answer of its create arrived. */
  readonly id: string | undefined;
  /** sha256 of every body it may have now; undefined among them: it may be absent. */
  readonly possible: readonly (string | undefined)[];
  /** Some write of it had no clear outcome, so that a late one may still arrive: nobody may touch it again. */
  readonly isUncertain: boolean;
  /** A create that was sent more than once may arrive after a delete and make it again. */
  readonly isRepeated: boolean;
}

/** A read that returned what the record cannot have had then. */
export interface WrongRead {
  readonly entry: TrafficEntry;
  readonly expected: string;
}

export interface TrafficHistory {
  readonly records: readonly TrafficRecord[];
  /** Record by the operation that wrote it: `<run>-<seq>`. */
  readonly writers: ReadonlyMap<string, TrafficRecord>;
  readonly wrongReads: readonly WrongRead[];
}

type Effect = "applied" | "maybe" | "refused";

interface Working {
  tenant: string;
  kind: RecordKind;
  key: string;
  id: string | undefined;
  possible: (string | undefined)[];
  isUncertain: boolean;
  isRepeated: boolean;
}

interface Page {
  readonly messages: { readonly id: string; readonly sha256: string }[];
  isUncertain: boolean;
}

/** Replays a log. A record belongs to one worker of a run, so the order of lines is the order of its operations. */
export function replay(content: TrafficLogContent): TrafficHistory {
  const records: Working[] = [];
  const byId = new Map<string, Working>();
  const writers = new Map<string, Working>();
  const pages = new Map<string, Page>();
  const wrongReads: WrongRead[] = [];

  const write = (intent: TrafficIntent, effect: Effect, unknownRetries: number): void => {
    const [kind, verb] = intent.op.split("-") as [RecordKind, string];
    let record = intent.id === null ? undefined : byId.get(`${intent.tenant} ${kind} ${intent.id}`);
    if (verb === "create") {
      record = {
        tenant: intent.tenant,
        kind,
        key: intent.idempotencyKey as string,
        id: intent.id ?? undefined,
        possible: [undefined],
        isUncertain: false,
        isRepeated: unknownRetries > 0,
      };
      records.push(record);
      if (intent.id !== null) byId.set(`${intent.tenant} ${kind} ${intent.id}`, record);
    }
    if (record === undefined)
      throw new Error(`the traffic log changes ${intent.op} ${intent.id} that it never created`);
    writers.set(`${intent.run}-${intent.seq}`, record);
    const value = verb === "delete" ? undefined : intent.sha256;
    if (effect === "applied") record.possible = [value];
    if (effect === "maybe" && !record.possible.includes(value)) record.possible.push(value);
    record.isUncertain ||= effect === "maybe";
    if (kind === "message") extend(intent, effect);
  };
  const extend = (intent: TrafficIntent, effect: Effect): void => {
    const page = pages.get(`${intent.tenant} ${intent.parent}`) ?? { messages: [], isUncertain: false };
    pages.set(`${intent.tenant} ${intent.parent}`, page);
    if (effect === "applied") page.messages.push({ id: intent.id as string, sha256: intent.sha256 as string });
    page.isUncertain ||= effect === "maybe";
  };
  const read = (entry: TrafficEntry): void => {
    if (entry.op === "prompt-read") {
      const record = byId.get(`${entry.tenant} prompt ${entry.id}`);
      const isGone = entry.status === 404;
      if (record === undefined || (entry.result !== "ok" && !isGone)) return;
      const seen = isGone ? undefined : entry.sha256;
      if (!record.possible.includes(seen)) wrongReads.push({ entry, expected: record.possible.join(" or ") });
    } else if (entry.op === "message-read" && entry.result === "ok") {
      const page = pages.get(`${entry.tenant} ${entry.id}`) ?? { messages: [], isUncertain: false };
      const expected = pageDigest(page.messages);
      if (!page.isUncertain && expected !== entry.sha256) wrongReads.push({ entry, expected });
    }
  };

  for (const entry of content.entries) {
    if (/-(create|update|delete)$/.test(entry.op)) write(entry, effectOf(entry), entry.unknownRetries);
    else read(entry);
  }
  for (const intent of content.unfinished) write(intent, "maybe", 0);
  return { records, writers, wrongReads };
}

/** A refusal is certain when it is the fence's or the request's own fault; any other 5xx may hide a commit. */
function effectOf(entry: TrafficEntry): Effect {
  if (entry.result === "ok") return "applied";
  const isCertain = entry.refusal === "fenced" || (entry.status !== null && entry.status < 500);
  return entry.result === "failed" && isCertain && entry.unknownRetries === 0 ? "refused" : "maybe";
}
