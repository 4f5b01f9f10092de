import { PayloadError } from "../mirror/payload-error.ts";

/** Bytes before the floats in pgvector's binary form: the dimension and two that are not used. */
const headerBytes = 4;

/**
 * The floats of a vector in pgvector's binary form (big-endian float32 behind a header) as little-endian ones. No float is
 * ever a number of JavaScript's: -0, denormals and the last bit stay what they are.
 *
 * @throws {PayloadError} another dimension, naming the row
 */
export function floatsOf(row: string, binary: Buffer, dimension: number): Buffer {
  const seen = binary.readUInt16BE(0);
  if (seen !== dimension || binary.length !== headerBytes + 4 * dimension)
    throw new PayloadError(
      `${row}: its vector has ${seen} floats, the collection takes ${dimension}; embed its text with the model of the others, or delete it`,
    );
  return Buffer.from(binary.subarray(headerBytes)).swap32();
}

/** Little-endian floats as a vector in pgvector's binary form. @throws {PayloadError} NaN or infinity, which pgvector refuses */
export function binaryOf(row: string, floats: Buffer): Buffer {
  const binary = Buffer.allocUnsafe(headerBytes + floats.length);
  binary.writeUInt16BE(floats.length / 4, 0);
  binary.writeUInt16BE(0, 2);
  for (let at = 0; at < floats.length; at += 4) {
    const bits = floats.readUInt32LE(at);
    // All bits of the exponent set: pgvector would refuse the whole chunk with an error that names no row.
    if ((bits & 0x7f80_0000) === 0x7f80_0000)
      throw new PayloadError(
        `${row}: its vector holds NaN or infinity, which pgvector does not take; the release that wrote it must write it anew`,
      );
    binary.writeUInt32BE(bits, headerBytes + at);
  }
  return binary;
}
