import { shortHash } from "./content-hash.ts";

/** A release id with the first 12 digits of its content hash: `r2@4f1c9e2a0b11`. */
export interface Pin {
  readonly id: string;
  readonly hash: string;
}

const form = /^(r[1-9][0-9]?[a-z]?)@([0-9a-f]{12})$/;

/** What a pin looks like, for error messages. */
export const pinForm = "a pin such as r2@4f1c9e2a0b11: release id, @, 12 hexadecimal digits of its content hash";

export function findPinIn(text: string): Pin | undefined {
  const match = form.exec(text);
  return match?.[1] === undefined || match[2] === undefined ? undefined : { id: match[1], hash: match[2] };
}

/** @throws {Error} the text is no pin */
export function parsePin(text: string): Pin {
  const pin = findPinIn(text);
  if (pin !== undefined) return pin;
  throw new Error(`"${text}" is no pin; allowed is ${pinForm}; coordinator lint prints the pins of all releases`);
}

export function formatPin(pin: Pin): string {
  return `${pin.id}@${pin.hash}`;
}

/** The pin under which stacks name this release. Any change of the release changes it. */
export function pinOf(release: { readonly id: string }): string {
  return formatPin({ id: release.id, hash: shortHash(release) });
}
