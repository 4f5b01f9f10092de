import {
  authoritativeSide,
  inSnapshot,
  type OracleAccess,
  type StoredBody,
  storedBodies,
  tenantUrl,
} from "./oracle-bodies.ts";
import { sha256 } from "./traffic-log.ts";
import type { RecordKind } from "./traffic-history.ts";

/** One record as the database has it. */
export interface StoredRecord {
  readonly kind: RecordKind;
  readonly id: string;
  /** Idempotency-Key in its row; a conversation has no column for it. */
  readonly key: string | undefined;
  /** Whether the parent row (`prompts`, `messages`, `conversations`) is there. */
  readonly hasParent: boolean;
  /** Its body; of a conversation, its title. */
  body?: Omit<StoredBody, "kind" | "id">;
}

export interface TenantContent {
  readonly side: "clear" | "sealed";
  /** By `<kind> <id>`. */
  readonly records: ReadonlyMap<string, StoredRecord>;
  /** By `<kind> <key>`. */
  readonly byKey: ReadonlyMap<string, StoredRecord>;
}

/** Everything a tenant holds, by plain SQL and, for sealed bodies, stock Tink. Bodies themselves are not kept. */
export async function tenantContent(access: OracleAccess, tenant: string): Promise<TenantContent> {
  const records = new Map<string, StoredRecord>();
  const byKey = new Map<string, StoredRecord>();
  const add = (kind: RecordKind, id: string, key: string | undefined, hasParent = true): StoredRecord => {
    const record: StoredRecord = { kind, id, key, hasParent };
    records.set(`${kind} ${id}`, record);
    if (key !== undefined) byKey.set(`${kind} ${key}`, record);
    return record;
  };
  const side = await inSnapshot(tenantUrl(access, tenant), async (client) => {
    for (const kind of ["prompt", "message"] as const) {
      const { rows } = await client.query<{ id: string; key: string | null }>(
        `SELECT id::text, idempotency_key AS key FROM public.${kind}s`,
      );
      for (const { id, key } of rows) add(kind, id, key ?? undefined);
    }
    const { rows } = await client.query<{ id: string; title: string }>(
      "SELECT id::text, title FROM public.conversations",
    );
    for (const { id, title } of rows) add("conversation", id, undefined).body = { sha256: sha256(title) };
    return await authoritativeSide(client, tenant);
  });
  for await (const { kind, id, ...body } of storedBodies(access, tenant)) {
    const record = records.get(`${kind} ${id}`) ?? add(kind, id, undefined, false);
    record.body = body;
  }
  return { side, records, byKey };
}
