import { generateKeyset } from "../../migrations/tink/keyset.ts";
import { Aead } from "../../migrations/tink/aead.ts";
import { associatedData } from "../../migrations/tink/associated-data.ts";
import { environment, type DrillTenant } from "./drill-tenant.ts";

/** The row that is tampered with, another of its table, and one of the other table. */
export interface Victims {
  readonly id: string;
  readonly sealed: Buffer;
  readonly other: Buffer;
  readonly message: Buffer;
}

/** What an attacker who may write the sealed table puts into the victim's row, and what the reader has to say of it. */
export interface Tampering {
  readonly title: string;
  readonly reason: RegExp;
  forge(victims: Victims, tenant: DrillTenant): Promise<Buffer> | Buffer;
}

const plain = Buffer.from("forged secret text");

/** Flips one bit of a byte; negative offsets count from the end. */
function flipped(sealed: Buffer, offset: number): Buffer {
  const copy = Buffer.from(sealed);
  const at = offset < 0 ? copy.length + offset : offset;
  copy[at] = (copy[at] ?? 0) ^ 0x10;
  return copy;
}

async function sealedFor(tenant: DrillTenant, context: Buffer): Promise<Buffer> {
  return (await tenant.keyring().get("prompt")).aead.seal(plain, context);
}

export const tamperings: readonly Tampering[] = [
  { title: "a bit of the tag flipped", reason: /refuses it/, forge: ({ sealed }) => flipped(sealed, -1) },
  { title: "swapped with another row's", reason: /refuses it/, forge: ({ other }) => other },
  { title: "a bit of the text flipped", reason: /refuses it/, forge: ({ sealed }) => flipped(sealed, 20) },
  {
    title: "of another tenant, under its own keys",
    reason: /no enabled key|not among the enabled keys/,
    forge: ({ id }) =>
      new Aead(generateKeyset()).seal(plain, associatedData(environment, "drl-other", "prompt.body", id)),
  },
  { title: "of the other table", reason: /refuses it/, forge: ({ message }) => message },
  { title: "a bit of the iv flipped", reason: /refuses it/, forge: ({ sealed }) => flipped(sealed, 8) },
  { title: "one byte shorter", reason: /refuses it/, forge: ({ sealed }) => sealed.subarray(0, -1) },
  { title: "one byte longer", reason: /refuses it/, forge: ({ sealed }) => Buffer.concat([sealed, Buffer.alloc(1)]) },
  { title: "cut to 32 bytes", reason: /at least 33/, forge: ({ sealed }) => sealed.subarray(0, 32) },
  { title: "emptied", reason: /at least 33/, forge: () => Buffer.alloc(0) },
  { title: "its version byte changed", reason: /not Tink's/, forge: ({ sealed }) => flipped(sealed, 0) },
  {
    title: "its key id changed",
    reason: /no enabled key|not among the enabled keys/,
    forge: ({ sealed }) => flipped(sealed, 3),
  },
  {
    title: "of another environment",
    reason: /refuses it/,
    forge: ({ id }, tenant) => sealedFor(tenant, associatedData("prod", tenant.tenant, "prompt.body", id)),
  },
  {
    title: "of another tenant, under this one's keys",
    reason: /refuses it/,
    forge: ({ id }, tenant) => sealedFor(tenant, associatedData(environment, "drl-other", "prompt.body", id)),
  },
  {
    title: "of another kind with the same id",
    reason: /refuses it/,
    forge: ({ id }, tenant) => sealedFor(tenant, associatedData(environment, tenant.tenant, "message.body", id)),
  },
  {
    title: "the text in clear",
    reason: /not Tink's/,
    forge: () => Buffer.from("forged secret text that is longer than 33 bytes"),
  },
];
