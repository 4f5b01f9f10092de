/** Nanoseconds of one unit of Go's durations. */
const nanoseconds: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** Nanoseconds of a duration as Go writes them (`1m30s`, `500ms`, `0`), or undefined when it is none. */
export function durationNs(text: string): number | undefined {
  if (text === "" || text === "0") return 0;
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
    sum += Number(amount) * (nanoseconds[unit ?? ""] ?? 0);
  }
  return Math.round(sum);
}

/** A duration as Go's `Duration.String` writes it, which is what the official plugin keeps in state. */
export function durationText(ns: number): string {
  if (ns === 0) return "0s";
  const small = Object.entries({ ns: 1, µs: 1e3, ms: 1e6 })
    .reverse()
    .find(([, size]) => ns >= size);
  if (ns < 1e9 && small !== undefined) return `${ns / small[1]}${small[0]}`;
  const hours = Math.floor(ns / 3600e9);
  const minutes = Math.floor((ns % 3600e9) / 60e9);
  const seconds = (ns % 60e9) / 1e9;
  return `${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${seconds}s`;
}
