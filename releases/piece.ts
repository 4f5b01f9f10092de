import { explainValue, faultAt } from "./fault.ts";
import type { Fault } from "./fault.ts";

/** A parsed or unparsed piece of the stack file: the schema reports wrong forms, so these checks read only what has the right one. */
export type Piece = Readonly<Record<string, unknown>>;

export function at(path: readonly PropertyKey[], seen: unknown, allowed: string, file: string, mend?: string): Fault {
  return faultAt(path, explainValue(seen), { allowed, mend }, file);
}

export function isPiece(value: unknown): value is Piece {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function pieceOf(value: unknown): Piece {
  return isPiece(value) ? value : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
