import { text } from "./schema.ts";

const dayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const form =
  /^(deny )?([a-z]{3})(?:-([a-z]{3}))? ([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d) ([A-Za-z][A-Za-z0-9_+/-]*)$/;

/** `deny 2027-12-20 to 2028-01-02 Europe/Berlin`: both days included. */
const freezeForm = /^deny (\d{4}-\d{2}-\d{2}) to (\d{4}-\d{2}-\d{2}) ([A-Za-z][A-Za-z0-9_+/-]*)$/;

/** When changes may start, or may not: what denies wins. A rollback asks no window. */
export interface ChangeWindow {
  readonly kind: "allow" | "deny";
  /** 0 = Monday to 6 = Sunday. */
  readonly days: readonly number[];
  /** Minutes after local midnight, 0 to 1439; included. */
  readonly fromMinute: number;
  /** Minutes after local midnight, 1 to 1440; excluded. */
  readonly toMinute: number;
  /** IANA name, e.g. `Europe/Berlin`. */
  readonly timeZone: string;
  /** Local days from first to last, both included; undefined: every week. */
  readonly between?: { readonly first: string; readonly last: string };
}

export const windowForm =
  "days, local time from-to on one day and time zone, such as mon-thu 09:00-16:00 Europe/Berlin; with deny before it changes " +
  "are forbidden then, as in deny 2027-12-20 to 2028-01-02 Europe/Berlin";

/** The window a text describes; undefined when it describes none. `fri-mon` goes over the weekend. */
export function findWindowIn(line: string): ChangeWindow | undefined {
  const freeze = freezeIn(line);
  if (freeze !== undefined) return freeze;
  const [, deny, first = "", last = first, fromHour, fromMinutes, toHour, toMinutes, timeZone = ""] =
    form.exec(line) ?? [];
  const start = dayNames.findIndex((name) => name === first);
  const end = dayNames.findIndex((name) => name === last);
  const fromMinute = Number(fromHour) * 60 + Number(fromMinutes);
  const toMinute = Number(toHour) * 60 + Number(toMinutes);
  if (start < 0 || end < 0 || !(fromMinute < toMinute) || toMinute > 1440 || !isTimeZone(timeZone)) return undefined;
  const count = ((end - start + 7) % 7) + 1;
  const days = Array.from({ length: count }, (_, index) => (start + index) % 7);
  return { kind: deny === undefined ? "allow" : "deny", days, fromMinute, toMinute, timeZone };
}

function freezeIn(line: string): ChangeWindow | undefined {
  const [, first = "", last = "", timeZone = ""] = freezeForm.exec(line) ?? [];
  const isDay = (day: string) => new Date(`${day}T00:00:00Z`).toJSON()?.startsWith(day) === true;
  if (!isDay(first) || !isDay(last) || first > last || !isTimeZone(timeZone)) return undefined;
  const days = [0, 1, 2, 3, 4, 5, 6];
  return { kind: "deny", days, fromMinute: 0, toMinute: 1440, timeZone, between: { first, last } };
}

/** @throws {Error} the text is no window */
export function parseWindow(line: string): ChangeWindow {
  const window = findWindowIn(line);
  if (window !== undefined) return window;
  throw new Error(`"${line}" is no change window; allowed are ${windowForm}; correct windows in the stack file`);
}

const clocks = new Map<string, Intl.DateTimeFormat>();

/** Making one costs as much as a hundred of its answers. */
function clockOf(timeZone: string): Intl.DateTimeFormat {
  const clock =
    clocks.get(timeZone) ??
    new Intl.DateTimeFormat("en-GB", {
      timeZone,
      weekday: "short",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    });
  clocks.set(timeZone, clock);
  return clock;
}

/** Is this instant inside the window? */
export function isInside(window: ChangeWindow, instant: Date): boolean {
  const parts = clockOf(window.timeZone).formatToParts(instant);
  const part = (type: string) => parts.find((candidate) => candidate.type === type)?.value ?? "";
  const day = dayNames.findIndex((name) => name === part("weekday").toLowerCase());
  const minute = Number(part("hour")) * 60 + Number(part("minute"));
  const { first = "", last = "9" } = window.between ?? {};
  const date = `${part("year")}-${part("month")}-${part("day")}`;
  if (date < first || date > last) return false;
  return window.days.includes(day) && minute >= window.fromMinute && minute < window.toMinute;
}

/** Inside of a window that allows, or none does; and inside of none that denies. No window at all: at any time. */
export function mayChangeAt(windows: readonly string[], instant: Date): boolean {
  return mayChange(windows.map(parseWindow), instant);
}

function mayChange(windows: readonly ChangeWindow[], instant: Date): boolean {
  const allowing = windows.filter(({ kind }) => kind === "allow");
  const isDenied = windows.some((window) => window.kind === "deny" && isInside(window, instant));
  return !isDenied && (allowing.length === 0 || allowing.some((window) => isInside(window, instant)));
}

/** Days that `nextChangeAt` looks ahead. */
export const horizonDays = 31;

/** The first whole minute from an instant on at which changes may start; undefined: none within 31 days. */
export function nextChangeAt(windows: readonly string[], instant: Date): Date | undefined {
  const parsed = windows.map(parseWindow);
  const now = Math.ceil(instant.getTime() / minuteMs) * minuteMs;
  if (mayChange(parsed, new Date(now))) return new Date(now);
  // Time zones differ from UTC by quarters of an hour, so windows open at multiples of what divides those and their minutes.
  const stepMs = parsed.flatMap(({ fromMinute, toMinute }) => [fromMinute, toMinute]).reduce(divisor, 15) * minuteMs;
  const first = Math.ceil(now / stepMs) * stepMs;
  for (let at = first; at < now + horizonDays * 86_400_000; at += stepMs)
    if (mayChange(parsed, new Date(at))) return new Date(at);
  return undefined;
}

const minuteMs = 60_000;

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}

export const windowText = text((line) => findWindowIn(line) !== undefined, windowForm);

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
