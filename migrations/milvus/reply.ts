import { MilvusError, type MilvusFailure } from "./milvus-error.ts";

/** A status as Milvus sends it; `error_code` is the older servers' name, `code` the newer ones' number. */
export interface MilvusStatus {
  readonly error_code?: string | number;
  readonly reason?: string;
  readonly code?: number;
}

/**
 * Holds a reply to its status: `Success`, or a `MilvusError`. One without a status is a failure: the SDK turns calls that the
 * server does not know into an empty reply.
 *
 * @param reply a status, or a message that holds one in `status`
 */
export function requireSuccess<T>(asked: string, reply: T): T {
  const status = findStatus(reply);
  if (status === undefined)
    throw new MilvusError("no-status", `Milvus answered ${asked} without a status: whether it was done is not known`);
  const isSuccess = (status.error_code ?? 0) === 0 || status.error_code === "Success";
  if (isSuccess && (status.code ?? 0) === 0) return reply;
  const reason = failureOf(status);
  throw new MilvusError(reason, `Milvus refused ${asked}: ${withoutValues(status.reason)} (${reason})`);
}

/** What was thrown by a call, as the one kind of error. */
export function tellFault(asked: string, address: string, fault: unknown): MilvusError {
  if (fault instanceof MilvusError) return fault;
  const { code, details, message } = fault as { code?: unknown; details?: unknown; message?: unknown };
  const text = withoutValues(
    typeof details === "string" ? details : typeof message === "string" ? message : String(fault),
  );
  const reason = typeof code === "number" ? byGrpcCode(code, text) : "refused";
  return new MilvusError(reason, `Milvus at ${address}, ${asked}: ${text} (${reason})`);
}

function findStatus(reply: unknown): MilvusStatus | undefined {
  if (typeof reply !== "object" || reply === null) return undefined;
  if ("status" in reply) return findStatus(reply.status);
  return "error_code" in reply || "code" in reply || "reason" in reply ? (reply as MilvusStatus) : undefined;
}

/** Numbers of Milvus 2.3 and later; names of the servers before. */
function failureOf({ error_code: name, code, reason = "" }: MilvusStatus): MilvusFailure {
  if (
    code === 8 ||
    code === 9 ||
    name === "RateLimit" ||
    name === 49 ||
    name === "MemoryQuotaExhausted" ||
    /rate limit|quota/i.test(reason)
  )
    return "overloaded";
  if (
    code === 100 ||
    name === "CollectionNotExists" ||
    name === 4 ||
    /can't find collection|collection not found/i.test(reason)
  )
    return "missing";
  if (code === 1400 || code === 1401 || name === "PermissionDenied" || name === 45) return "denied";
  if (
    code === 101 ||
    code === 503 ||
    code === 102 ||
    /not (fully )?loaded|no available|channel not available/i.test(reason)
  )
    return "loading";
  if (code === 1 || code === 2 || name === "NotReadyServe" || /not ready/i.test(reason)) return "unreachable";
  return "refused";
}

function byGrpcCode(code: number, text: string): MilvusFailure {
  if (code === 4 || code === 14 || code === 1) return "unreachable";
  if (code === 8) return "overloaded";
  if (code === 7 || code === 16) return "denied";
  return /not ready/i.test(text) ? "unreachable" : "refused";
}

/** Milvus quotes expressions, and with them keys. */
function withoutValues(text: string | undefined): string {
  return (
    (text ?? "")
      .replaceAll(/"[^"]*"|'[^']*'|\[[^\]]*\]/g, "..")
      .split("\n")[0]
      ?.slice(0, 200) ?? ""
  );
}
