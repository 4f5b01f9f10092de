const states = /^(08|53|57|55P03$|55000$|25006$|25P0[234]$)/;
const codes = /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT)$/;
const words = /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout expired)/;

/** Whether an error says that a server was away, busy, full or closed: what a user of a service meets as 5xx. */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code = "" } = error as { code?: string };
  return states.test(code) || codes.test(code) || words.test(error.message) || error.name === "VaultError";
}
