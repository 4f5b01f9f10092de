import { stateOf } from "./errors.ts";

/** SQLSTATEs that speak of the server, the login or its settings and not of data, with what mends them. */
const mends: Readonly<Record<string, string>> = {
  "28000": "the login is refused: compare the URL of the region with pg_hba.conf",
  "28P01": "the password is refused: set the one in the region's URL anew",
  "3D000": "the database is gone: restore it, or take the tenant out of the registry",
  "25006":
    "it takes no writes: name the primary in the region's URL, or ALTER DATABASE .. RESET default_transaction_read_only",
  "25P03":
    "it ended a transaction that stood still: look for a machine that was paused, or raise idle_in_transaction_session_timeout",
  "25P04": "it ended a transaction that took too long: ALTER DATABASE .. RESET transaction_timeout",
  "42501":
    "the login lacks a privilege: GRANT rc_migrator to it, and let rc_migrator own the tenant's database, tables and schema rc",
  "53100": "free space on the volume of its data or tablespace",
  "53200": "give it more memory, or lower work_mem and maintenance_work_mem",
  "53300": "end sessions that are not needed, or raise max_connections or the CONNECTION LIMIT of login or database",
  "55000": "let sessions in again: ALTER DATABASE .. ALLOW_CONNECTIONS true",
  "55P03":
    "another session has held a lock through all tries: look for the transaction that is open longest in pg_stat_activity and end it",
  "57014": "a statement was cancelled by hand or by a timeout: ALTER DATABASE .. RESET statement_timeout",
  "57P05": "it ended an idle session: ALTER DATABASE .. RESET idle_session_timeout",
};

const brokenMend = "the connection broke or was refused: see that the server runs and can be reached (pg_isready)";

/** Shutdown, crash of another backend, start-up in progress, and class 08. */
const brokenStates = /^(57P0[123]|08[0-9A-Z]{3})$/;
const brokenCodes = /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/;
/** What the driver says when it has no code: the connection ended, or could not be made in time. */
const brokenWords =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout expired)/;

/** Whether a connection broke or could not be made: the statement may have been carried out, or not. */
export function isBrokenConnection(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const state = stateOf(error) ?? "";
  return brokenStates.test(state) || brokenCodes.test(state) || brokenWords.test(error.message);
}

/**
 * What to do about an error that is the server's: broken connections, no room, no right, no time.
 *
 * @returns undefined when it is something else
 */
export function findServerMend(error: Error): string | undefined {
  if (isBrokenConnection(error)) return brokenMend;
  return mends[stateOf(error) ?? ""] ?? (error.cause instanceof Error ? findServerMend(error.cause) : undefined);
}

/**
 * The error as a tenant's result tells it: whose, on which server, what it said, what mends it. Errors that are not the
 * server's keep their message.
 *
 * @param url of the server; only its host and port are shown
 */
export function tellServerFault(error: Error, tenant: string, url: string): string {
  const mend = findServerMend(error);
  if (mend === undefined) return error.message;
  const prefix = `tenant ${tenant}: `;
  const said = error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message;
  return `${prefix}PostgreSQL at ${new URL(url).host}: ${said}; ${mend}, then run the update again: what was committed is in the ledger, it goes on there`;
}
