/**
 * What a ciphertext is bound to: environment, tenant, logical kind and record id, each as a u32 big-endian byte length
 * followed by its UTF-8 bytes. The lengths make it injective: ("ab", "c") and ("a", "bc") never meet.
 *
 * All four come from the caller's context, never from the row that holds the ciphertext: a row that could name its own
 * context could be moved.
 *
 * @param kind logical kind, e.g. `prompt.body`; not a table name, so that it outlives a renamed table
 * @param recordId canonical text of the row's key, e.g. a lower-case uuid
 * @throws {TypeError} a part is empty or is not well-formed Unicode
 */
export function associatedData(environment: string, tenant: string, kind: string, recordId: string): Buffer {
  return associatedDataOf(environment, tenant, kind)(recordId);
}

/**
 * {@link associatedData} for many records of one kind: the first three parts are encoded once.
 *
 * @throws {TypeError} a part is empty or is not well-formed Unicode
 */
export function associatedDataOf(environment: string, tenant: string, kind: string): (recordId: string) => Buffer {
  const context = Buffer.concat([part("environment", environment), part("tenant", tenant), part("kind", kind)]);
  return (recordId) => {
    assertEncodable("record id", recordId);
    const recordBytes = Buffer.byteLength(recordId);
    const encoded = Buffer.allocUnsafe(context.length + lengthBytes + recordBytes);
    encoded.set(context);
    encoded.writeUInt32BE(recordBytes, context.length);
    encoded.write(recordId, context.length + lengthBytes);
    return encoded;
  };
}

const lengthBytes = 4;

function part(name: string, text: string): Buffer {
  assertEncodable(name, text);
  const encoded = Buffer.allocUnsafe(lengthBytes + Buffer.byteLength(text));
  encoded.writeUInt32BE(encoded.length - lengthBytes);
  encoded.write(text, lengthBytes);
  return encoded;
}

function assertEncodable(name: string, text: string): void {
  if (text === "") {
    throw new TypeError(`associated data: ${name} is empty; pass the one from the caller's context`);
  }
  // UTF-8 turns every lone surrogate into U+FFFD: two different ids would share one encoding.
  if (!text.isWellFormed()) {
    throw new TypeError(`associated data: ${name} is not well-formed Unicode; pass the canonical text of the key`);
  }
}
