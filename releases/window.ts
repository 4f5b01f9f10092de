import { text } from "./schema.ts";

const dayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const form =
  /^([a-z]{3})(?:-([a-z]{3}))? ([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d) ([A-Za-z][A-Za-z0-9_+/-]*)$/;

/** When changes may start. A rollback asks no window. */
export interface ChangeWindow {
  /** 0 = Monday to 6 = Sunday. */
  readonly days: readonly number[];
  /** Minutes after local midnight, 0 to 1439; included. */
  readonly fromMinute: number;
  /** Minutes after local midnight, 1 to 1440; excluded. */
  readonly toMinute: number;
  /** IANA name, e.g. `Europe/Berlin`. */
  readonly timeZone: string;
}

export const windowForm =
  "days, local time from-to on one day and time zone, such as mon-thu 09:00-16:00 Europe/Berlin";

/** The window a text describes; undefined when it describes none. `fri-mon` goes over the weekend. */
export function findWindowIn(line: string): ChangeWindow | undefined {
  const [, first = "", last = first, fromHour, fromMinutes, toHour, toMinutes, timeZone = ""] = form.exec(line) ?? [];
  const start = dayNames.findIndex((name) => name === first);
  const end = dayNames.findIndex((name) => name === last);
  const fromMinute = Number(fromHour) * 60 + Number(fromMinutes);
  const toMinute = Number(toHour) * 60 + Number(toMinutes);
  if (start < 0 || end < 0 || !(fromMinute < toMinute) || toMinute > 1440 || !isTimeZone(timeZone)) return undefined;
  const count = ((end - start + 7) % 7) + 1;
  return { days: Array.from({ length: count }, (_, index) => (start + index) % 7), fromMinute, toMinute, timeZone };
}

/** @throws {Error} the text is no window */
export function parseWindow(line: string): ChangeWindow {
  const window = findWindowIn(line);
  if (window !== undefined) return window;
  throw new Error(`"${line}" is no change window; allowed are ${windowForm}; correct windows in the stack file`);
}

/** Is this instant inside the window? */
export function isInside(window: ChangeWindow, instant: Date): boolean {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone: window.timeZone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).formatToParts(instant);
  const part = (type: string) => parts.find((candidate) => candidate.type === type)?.value ?? "";
  const day = dayNames.findIndex((name) => name === part("weekday").toLowerCase());
  const minute = Number(part("hour")) * 60 + Number(part("minute"));
  return window.days.includes(day) && minute >= window.fromMinute && minute < window.toMinute;
}

/** No window at all means that changes may start at any time. */
export function mayChangeAt(windows: readonly string[], instant: Date): boolean {
  return windows.length === 0 || windows.some((line) => isInside(parseWindow(line), instant));
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
