/** SQLSTATEs that the engine acts on. */
export const sqlState = {
  insufficientPrivilege: "42501",
  lockNotAvailable: "55P03",
  deadlockDetected: "40P01",
  serializationFailure: "40001",
  foreignKeyViolation: "23503",
  transactionTimeout: "25P04",
  adminShutdown: "57P01",
  queryCanceled: "57014",
  objectInUse: "55006",
} as const;

/** An error of PostgreSQL without the parts that quote rows; safe to log and to store. */
export class PostgresError extends Error {
  override readonly name = "PostgresError";
  /** SQLSTATE, e.g. `42501`; undefined when the connection failed before the server could answer. */
  readonly code: string | undefined;
  readonly table: string | undefined;
  readonly constraint: string | undefined;

  constructor(message: string, code: string | undefined, table?: string, constraint?: string) {
    super(message);
    this.code = code;
    this.table = table;
    this.constraint = constraint;
  }
}

/** SQLSTATE of an error, if it has one. */
export function stateOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" ? code : undefined;
}

/**
 * Drops `detail`, `where`, `internalQuery` and the other parts of a PostgreSQL error that quote rows; of data errors
 * (class 22) the message too, since it quotes the value. Errors that are not PostgreSQL's are returned as they are.
 */
export function withoutRows(error: unknown): Error {
  if (error instanceof PostgresError) return error;
  if (!(error instanceof Error)) return new Error(String(error));
  const code = stateOf(error);
  if (code === undefined || !/^[0-9A-Z]{5}$/.test(code)) return error;
  const { table, constraint, severity } = error as { table?: string; constraint?: string; severity?: string };
  if (severity === undefined) return error;
  const isDataError = code.startsWith("22");
  const place = [table && `table ${table}`, constraint && `constraint ${constraint}`].filter(Boolean).join(", ");
  const message = isDataError
    ? "a value is not valid for its column (the message is withheld: it quotes rows)"
    : error.message;
  return new PostgresError(`${message} [SQLSTATE ${code}${place ? `; ${place}` : ""}]`, code, table, constraint);
}
