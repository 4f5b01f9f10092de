import semver from "semver";
import { z } from "zod";
import type { FaultHint } from "./fault.ts";

/** An object without room for misspelt keys; the fault of an unknown key lists the known ones. */
export function closed<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const known = Object.keys(shape).join(", ");
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? known
        : issue.code === "invalid_type"
          ? `an object with ${known}`
          : undefined,
  });
}

/** A text of one form; `allowed` says the form in words. */
export function text(form: RegExp | ((value: string) => boolean), allowed: string, mend?: string) {
  const hint: FaultHint = { allowed, mend };
  const matches = form instanceof RegExp ? (value: string) => form.test(value) : form;
  return z.string({ error: allowed }).refine(matches, { params: { ...hint } });
}

/** One of a few words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: `one of ${words.join(", ")}` });
}

/** A whole number from `least` to `most`, both included. */
export function whole(least: number, most: number, unit: string) {
  const allowed = `a whole number of ${unit} from ${least} to ${most}`;
  return z
    .number({ error: allowed })
    .refine((value) => Number.isInteger(value) && value >= least && value <= most, { params: { allowed } });
}

/** A number from `least` to `most`, both included. */
export function amount(least: number, most: number, unit: string) {
  const allowed = `a number of ${unit} from ${least} to ${most}`;
  return z.number({ error: allowed }).refine((value) => value >= least && value <= most, { params: { allowed } });
}

export const yesNo = z.boolean({ error: "true or false" });

/** A sentence for people: not blank. */
export const sentence = text((value) => value.trim().length > 0, "a text that is not blank");

/** A short name for machines: `vault-healthy`. */
export const slug = text(/^[a-z][a-z0-9-]{0,59}$/, "small letters, digits and dashes, a letter first, at most 60");

export const semanticVersion = text(
  (value) => semver.valid(value) === value,
  "a semantic version such as 2.0.0 (semver.org), without v",
);

export const versionRange = text(
  (value) => value.trim() !== "" && semver.validRange(value) !== null,
  "a range of semantic versions such as ^1.2.0 or 1.4.0 || 2.0.0",
);

export const sha256 = text(/^[0-9a-f]{64}$/, "a sha256 as 64 hexadecimal digits in small letters");

/** `r2`; a corrected release gets a letter: `r2b`. It names database roles and images, so the form is narrow. */
export const releaseId = text(/^r[1-9][0-9]?[a-z]?$/, "a release id such as r2, or r2b for a corrected r2");

/** `2027-03-01`, and a day that exists. */
export function isCalendarDate(value: unknown): value is string {
  if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}$/.test(value)) return false;
  const midnight = new Date(`${value}T00:00:00Z`);
  // JavaScript takes 30 February for 2 March.
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(value);
}

export const calendarDate = text(isCalendarDate, 'a calendar date in quotes such as "2027-03-01"');
