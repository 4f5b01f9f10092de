import type { Answer, Reply } from "../tests/workload/service-client.ts";

/** What many requests took. */
export interface RequestTimes {
  readonly seconds: number;
  readonly latenciesMs: readonly number[];
}

/**
 * Sends requests from several users at once, each waiting for its answer before the next, as long as `more` says so.
 * @param more told how many were begun. @throws {Error} an answer that is not 2xx
 */
export async function sendRequests(
  users: number,
  more: (begun: number) => boolean,
  request: (nth: number) => Promise<Reply>,
): Promise<RequestTimes> {
  const latenciesMs: number[] = [];
  let begun = 0;
  const startMs = performance.now();
  const user = async (): Promise<void> => {
    while (more(begun)) {
      const nth = begun++;
      const sentMs = performance.now();
      const { request: name, status } = await request(nth);
      latenciesMs.push(performance.now() - sentMs);
      if (status < 200 || status > 299) throw new Error(`${name} answered ${status}`);
    }
  };
  await Promise.all(Array.from({ length: users }, user));
  return { seconds: (performance.now() - startMs) / 1000, latenciesMs };
}

/** Text of about this many bytes, other words in each. */
export function bodyText(nth: number, bytes = 1024): string {
  return `prompt ${nth} about ${["bridges", "harbours", "ledgers", "rivers", "engines"][nth % 5]} `
    .repeat(40)
    .slice(0, bytes);
}

/** Id of the record that a request has made. */
export const idOf = (reply: Reply): string => (reply.json as Answer).id;
