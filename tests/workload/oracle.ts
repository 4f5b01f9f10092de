import { type OracleAccess, sealedBodies } from "./oracle-bodies.ts";
import { type StoredRecord, tenantContent } from "./oracle-tenant.ts";
import { replay, type TrafficHistory, type TrafficRecord } from "./traffic-history.ts";
import { readTrafficLog } from "./traffic-log.ts";
import { KEY_PREFIX, operationOf } from "./traffic-text.ts";

export { plaintextLeft, tenantDigests } from "./oracle-digests.ts";
export type { OracleAccess } from "./oracle-bodies.ts";

/** One thing that is not as the log demands; never quotes a body. */
export interface Finding {
  readonly tenant: string;
  readonly kind: string;
  /** Of the record, or its Idempotency-Key where no id is known. */
  readonly id: string;
  readonly why: string;
}

export interface LogCheck {
  /** Records of the log that were compared. */
  readonly checked: number;
  /** Acknowledged and not there, as a whole or in part; also any row of the tenant without its body. */
  readonly missing: readonly Finding[];
  /** There with another body or key, or read back wrongly while the log was written. */
  readonly wrong: readonly Finding[];
  /** Deleted and there again, there twice, in another tenant, or never written; also any body without its row. */
  readonly surplus: readonly Finding[];
  /** Sealed rows of all tenants that stock Tink opened. */
  readonly opened: number;
  /** Sealed rows that it did not open. */
  readonly notOpened: readonly Finding[];
}

export interface LogCheckArgs extends OracleAccess {
  readonly logFile: string;
  /** @default all that the log names */
  readonly tenants?: readonly string[];
}

/**
 * Compares what clients were told with what the databases hold, never through engine or services. The generator must
 * have ended: what it writes during the check would be taken for surplus.
 * @throws Error when a tenant cannot be read at all, or is not where its ledger says
 */
export async function checkLog(args: LogCheckArgs): Promise<LogCheck> {
  const content = readTrafficLog(args.logFile);
  const history = replay(content);
  const named = [...content.entries, ...content.unfinished].map((entry) => entry.tenant);
  const tenants = args.tenants ?? [...new Set(named)].sort();
  const check = { checked: 0, missing: [], wrong: [], surplus: [], opened: 0, notOpened: [] } as Findings;
  for (const { entry, expected } of history.wrongReads) {
    if (!tenants.includes(entry.tenant)) continue;
    const why = `${entry.op} at ${entry.at} saw ${entry.status === 404 ? "nothing" : entry.sha256}, not ${expected}`;
    check.wrong.push({ tenant: entry.tenant, kind: entry.op, id: entry.id as string, why });
  }
  for (const tenant of tenants) await checkTenant(args, tenant, new Set(content.runs), history, check);
  return check;
}

/** Opens every sealed row of a tenant with stock Tink, whichever side is authoritative. */
export async function readSealed(
  args: OracleAccess & { readonly tenant: string },
): Promise<{ opened: number; notOpened: Finding[] }> {
  const notOpened: Finding[] = [];
  let opened = 0;
  for await (const { kind, id, reason } of sealedBodies(args, args.tenant)) {
    if (reason === undefined) opened++;
    else notOpened.push({ tenant: args.tenant, kind, id, why: reason });
  }
  return { opened, notOpened };
}

type Findings = { checked: number; opened: number } & Record<"missing" | "wrong" | "surplus" | "notOpened", Finding[]>;

async function checkTenant(
  access: OracleAccess,
  tenant: string,
  runs: ReadonlySet<string>,
  history: TrafficHistory,
  check: Findings,
): Promise<void> {
  const { side, records, byKey } = await tenantContent(access, tenant);
  /** Rows that belong to a record of the log, so that every other row with our mark is one too many. */
  const expected = new Map<TrafficRecord, StoredRecord | undefined>();
  for (const record of history.records) {
    if (record.tenant !== tenant) continue;
    check.checked++;
    const stored =
      record.id === undefined ? byKey.get(`${record.kind} ${record.key}`) : records.get(`${record.kind} ${record.id}`);
    expected.set(record, stored);
    const verdict = judge(record, stored);
    if (verdict !== undefined) {
      check[verdict.list].push({ tenant, kind: record.kind, id: record.id ?? record.key, why: verdict.why });
    }
  }

  const isOurs = (run: string): boolean => runs.has(run);
  const own = new Set(expected.values());
  for (const stored of records.values()) {
    const { kind, id, body } = stored;
    const found = (list: "missing" | "surplus" | "notOpened", why: string): void =>
      void check[list].push({ tenant, kind, id, why });
    if (side === "sealed" && kind !== "conversation" && body !== undefined) {
      if (body.reason === undefined) check.opened++;
      else found("notOpened", body.reason);
    }
    if (!own.has(stored)) {
      const writer = body?.marker === undefined ? undefined : operationOf(body.marker);
      const keyRun = stored.key?.startsWith(KEY_PREFIX) ? stored.key.slice(KEY_PREFIX.length).split("-")[0] : undefined;
      if (keyRun !== undefined && isOurs(keyRun))
        found("surplus", `has key ${stored.key}, which belongs to no such record`);
      else if (writer !== undefined && isOurs(writer.run)) {
        found("surplus", `has the text of ${body?.marker}, which was written to ${owner(history, writer)}`);
      } else if (!stored.hasParent) found("surplus", "is a body without its row");
      else if (body === undefined) found("missing", "has a row, but no body");
    }
  }
}

/** What is wrong with a record of the log, if anything. A row that does not open is reported as that, once. */
function judge(
  record: TrafficRecord,
  stored: StoredRecord | undefined,
): { list: "missing" | "wrong" | "surplus"; why: string } | undefined {
  const { possible, key, kind } = record;
  const mayBeAbsent = possible.includes(undefined);
  if (stored === undefined)
    return mayBeAbsent ? undefined : { list: "missing", why: "was acknowledged and is not there" };
  if (possible.every((body) => body === undefined))
    return { list: "surplus", why: "is there, but was deleted or refused" };
  if (!stored.hasParent) return { list: "missing", why: "has a body, but its row is gone" };
  if (stored.body === undefined) return { list: "missing", why: "has a row, but no body" };
  if (kind !== "conversation" && stored.key !== key) return { list: "wrong", why: `has key ${stored.key}, not ${key}` };
  if (stored.body.reason !== undefined || possible.includes(stored.body.sha256)) return undefined;
  const allowed = possible.filter((body) => body !== undefined).join(" or ");
  return { list: "wrong", why: `its body has sha256 ${stored.body.sha256}, acknowledged was ${allowed}` };
}

function owner(history: TrafficHistory, { run, seq }: { run: string; seq: number }): string {
  const record = history.writers.get(`${run}-${seq}`);
  return record === undefined ? "nothing" : `${record.kind} ${record.id ?? record.key} of ${record.tenant}`;
}
