import { stateOf, withoutRows } from "./errors.ts";
import { findServerMend } from "./server-fault.ts";

/** What cannot be read, as its reader knows it. */
export interface UnavailableDatabase {
  /** Who is concerned, e.g. `region local` or `tenant acme`. */
  readonly about: string;
  /** URL with the login; only its host and port are shown. */
  readonly url: string;
  /** Where the URL is written, e.g. `env:RC_POSTGRES_URL`. */
  readonly reference: string;
  readonly database: string;
}

/** One sentence for a database that cannot be read: who, what was seen, what has to be, and the mend. */
export function explainUnavailable(error: unknown, { about, url, reference, database }: UnavailableDatabase): string {
  const { host, username } = URL.canParse(url) ? new URL(url) : { host: "an address that is no URL", username: "" };
  const server = `PostgreSQL at ${host}`;
  const state = stateOf(error) ?? stateOf((error as { cause?: unknown }).cause);
  const reason = withoutRows(error).message;
  if (state !== undefined && /^(E[A-Z_]+|57P0[123]|08\d{3})$/.test(state))
    return `${about}: ${server} does not answer (${state}); start it, or correct ${reference}`;
  if (state?.startsWith("28") === true)
    return `${about}: ${server} refuses the login ${username} (${state}); correct user and password in ${reference}`;
  if (state === "3D000")
    return (
      `${about}: its database ${database} is not on ${server}; restore it, ` +
      `or remove the tenant from the registry if it has left`
    );
  if (state === "42501" || state === "0LP01")
    return (
      `${about}: the login ${username} may not read ${database} on ${server} as rc_reader (${reason}); ` +
      `allow it: GRANT rc_reader, rc_migrator TO ${username}, and pulumi up restores the grants of rc_reader`
    );
  // A connection that broke, or that ran into its time limit, carries no code.
  if (state === undefined && /connect|terminated|timeout/i.test(reason))
    return `${about}: ${server} does not answer (${reason}); start it, or correct ${reference}`;
  const mend = error instanceof Error ? findServerMend(error) : undefined;
  return `${about}: ${reason}${mend === undefined || reason.includes(mend) ? "" : `; ${mend}`}`;
}
