import type pg from "pg";

/** What happened to a tenant's data, for people and for evidence; never holds keys, payloads or key values. */
export interface JournalEntry {
  readonly mirror?: string;
  /** e.g. `capture`, `loaded`, `verified`, `cutover`, `retired`. */
  readonly event: string;
  /** Plain JSON; numbers with their unit in the name, e.g. `{ lockMs: 41 }`. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** Adds an entry, in the transaction that is open if one is. @returns its id */
export async function note(client: pg.Client, entry: JournalEntry): Promise<string> {
  const added = await client.query<{ id: string }>(
    "INSERT INTO rc.journal (mirror, event, detail) VALUES ($1, $2, $3) RETURNING id",
    [entry.mirror ?? null, entry.event, JSON.stringify(entry.detail ?? {})],
  );
  return added.rows[0]?.id as string;
}

/** Adds facts that are only known after the commit, e.g. for how long the lock was held. */
export async function amend(client: pg.Client, id: string, detail: Readonly<Record<string, unknown>>): Promise<void> {
  await client.query("UPDATE rc.journal SET detail = detail || $2::jsonb WHERE id = $1", [id, JSON.stringify(detail)]);
}

/** Newest first. */
export async function readJournal(client: pg.Client, limit = 100): Promise<(JournalEntry & { at: Date })[]> {
  const found = await client.query<{ at: Date; mirror: string | null; event: string; detail: Record<string, unknown> }>(
    "SELECT at, mirror, event, detail FROM rc.journal ORDER BY id DESC LIMIT $1",
    [limit],
  );
  return found.rows.map((row) => ({ ...row, mirror: row.mirror ?? undefined }));
}
