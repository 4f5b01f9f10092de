/** Kinds of refusal in the service contract; the value of `error` in the JSON answer. */
export type Refusal = "invalid" | "not-found" | "conflict" | "too-large" | "unavailable" | "fenced" | "internal";

const STATUS: Readonly<Record<Refusal, number>> = {
  invalid: 400,
  "not-found": 404,
  conflict: 409,
  "too-large": 413,
  unavailable: 503,
  fenced: 503,
  internal: 500,
};

/** A refusal that the caller may read: its message names the thing and what is allowed, never stored content. */
export class ReplyError extends Error {
  readonly refusal: Refusal;
  readonly status: number;

  constructor(refusal: Refusal, message: string) {
    super(message);
    this.refusal = refusal;
    this.status = STATUS[refusal];
  }
}
