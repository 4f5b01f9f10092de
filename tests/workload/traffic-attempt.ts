import { setTimeout as sleep } from "node:timers/promises";
import type { Reply } from "./service-client.ts";
import type { TrafficEntry } from "./traffic-log.ts";

export interface AttemptArgs {
  /** Whether a request without an answer may be sent again: only a POST with its Idempotency-Key. */
  readonly isRepeatable: boolean;
  /** Longest time behind the fence, and longest time of repeating a request without an answer. @default 30000 */
  readonly patienceMs?: number;
  /** Wait before a request without an answer is sent again. @default 500 */
  readonly repeatAfterMs?: number;
}

export type Outcome = Pick<
  TrafficEntry,
  "result" | "status" | "refusal" | "ms" | "fencedRetries" | "fencedMs" | "unknownRetries"
> & { readonly reply?: Reply };

/** Retry-After that is believed at most, seconds. */
const LONGEST_WAIT_S = 10;

/** One operation as the service contract allows: the fence is waited for, everything else is final. Never throws. */
export async function attempt(send: () => Promise<Reply>, args: AttemptArgs): Promise<Outcome> {
  const { isRepeatable, patienceMs = 30_000, repeatAfterMs = 500 } = args;
  const startMs = performance.now();
  let fencedRetries = 0;
  let fencedSinceMs: number | undefined;
  let unknownRetries = 0;
  let unknownSinceMs: number | undefined;
  const outcome = (result: Outcome["result"], reply?: Reply): Outcome => {
    const nowMs = performance.now();
    return {
      result,
      status: reply?.status ?? null,
      ...(result === "failed" ? { refusal: String(reply?.json?.error ?? "none") } : {}),
      ms: Math.round(nowMs - startMs),
      fencedRetries,
      fencedMs: fencedSinceMs === undefined ? 0 : Math.round(nowMs - fencedSinceMs),
      unknownRetries,
      ...(reply === undefined ? {} : { reply }),
    };
  };
  for (;;) {
    let reply: Reply;
    try {
      reply = await send();
    } catch {
      unknownSinceMs ??= performance.now();
      if (!isRepeatable || performance.now() - unknownSinceMs >= patienceMs) return outcome("unknown");
      unknownRetries++;
      await sleep(repeatAfterMs);
      continue;
    }
    if (!isFence(reply)) return outcome(reply.status < 400 ? "ok" : "failed", reply);
    fencedSinceMs ??= performance.now();
    if (performance.now() - fencedSinceMs >= patienceMs) return outcome("failed", reply);
    fencedRetries++;
    const seconds = Number(reply.headers.get("retry-after") ?? 1);
    await sleep(1_000 * Math.min(Number.isFinite(seconds) && seconds > 0 ? seconds : 1, LONGEST_WAIT_S));
  }
}

/** The one answer that says that nothing of the request was committed and that it may be sent again. */
export function isFence(reply: Reply): boolean {
  return reply.status === 503 && reply.headers.has("x-release") && reply.json?.error === "fenced";
}
