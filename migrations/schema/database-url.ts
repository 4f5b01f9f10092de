/** How a session begins, before its first statement. */
export interface SessionSettings {
  /** Role taken at login, e.g. `rc_migrator`; the login must be a member of it. @default the login itself */
  readonly role?: string;
  /** Every transaction refuses to write. @default false */
  readonly isReadOnly?: boolean;
  /** Longest wait for a lock, milliseconds, at least 1. @default the server's */
  readonly lockTimeoutMs?: number;
}

/**
 * The same server and login, another database, and session settings that hold from the first statement on: unlike a
 * `SET ROLE` after connecting they cannot be forgotten by a pool.
 * @param url `postgresql://user:password@host:port/...`
 * @throws when `url` is no PostgreSQL URL; the message does not quote it
 */
export function databaseUrl(url: string, database: string, settings: SessionSettings = {}): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new Error("not a PostgreSQL URL; allowed: postgresql://user:password@host:port/name; run: source .local/env");
  }
  parsed.pathname = `/${encodeURIComponent(database)}`;
  const options = [
    parsed.searchParams.get("options") ?? "",
    settings.role === undefined ? "" : `-c role=${settings.role}`,
    settings.isReadOnly === true ? "-c default_transaction_read_only=on" : "",
    settings.lockTimeoutMs === undefined ? "" : `-c lock_timeout=${settings.lockTimeoutMs}`,
  ].filter((option) => option !== "");
  if (options.length > 0) parsed.searchParams.set("options", options.join(" "));
  // libpq reads `+` as a plus sign, not as a space.
  parsed.search = parsed.search.replaceAll("+", "%20");
  return parsed.href;
}
