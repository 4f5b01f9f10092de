/** A payload that cannot be brought to the other side. Carries the record's table and id, never its value. */
export class PayloadError extends Error {
  override readonly name = "PayloadError";
}
