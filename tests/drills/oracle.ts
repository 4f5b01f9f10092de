import { createHash } from "node:crypto";
import type { OperationLog } from "./operation-log.ts";
import type { StoredBodies } from "./stored-bodies.ts";

/** Faults named in full; of the rest the number. */
const faultsShown = 5;

/**
 * Compares what is stored with what the writers were told: every acknowledged write is there exactly once, no failed one
 * is, one without an answer is there or not.
 *
 * @returns faults in words, none when all is well; records are named, bodies never
 */
export function findFaults(log: OperationLog, { digests, closed }: StoredBodies): string[] {
  const faults: string[] = [];
  for (const [record, reason] of closed) faults.push(`${record} does not open: ${reason}`);
  for (const record of log.records()) {
    if (closed.has(record)) continue;
    const found = digests.get(record) ?? null;
    const allowed = log.mayBe(record);
    if (allowed.has(found)) continue;
    if (found === null) faults.push(`${record} is lost`);
    else if (allowed.has(null) && allowed.size === 1)
      faults.push(`${record} is there although it was deleted or never was`);
    else faults.push(`${record} holds another body than the one acknowledged last`);
  }
  const known = new Set(log.records());
  for (const record of digests.keys()) if (!known.has(record)) faults.push(`${record} was never written by anybody`);
  const twice = digests.size - new Set(digests.values()).size;
  if (twice > 0) faults.push(`${twice} bodies are there twice`);
  return faults;
}

/** One digest over all records of a tenant: equal exactly when no body was lost, added or changed. */
export function tenantDigest({ digests }: StoredBodies): string {
  const hash = createHash("sha256");
  for (const [record, digest] of [...digests].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${record} ${digest}\n`);
  return hash.digest("hex");
}

/** @throws {Error} with the first faults */
export function assertNoFaults(where: string, faults: readonly string[]): void {
  if (faults.length === 0) return;
  const more = faults.length > faultsShown ? `; and ${faults.length - faultsShown} more` : "";
  throw new Error(`${where}: ${faults.slice(0, faultsShown).join("; ")}${more}`);
}
