import { createHash } from "node:crypto";

/** Shortest piece, bytes of UTF-8. */
export const pieceMinBytes = 200;
/** Longest piece, bytes of UTF-8. */
export const pieceMaxBytes = 64 * 1024;

/** Share of all pieces up to which a size range goes; what people paste into a prompt is short, with a long tail. */
const sizes = [
  { upTo: 0.08, minBytes: pieceMinBytes, maxBytes: 300 },
  { upTo: 0.72, minBytes: 300, maxBytes: 1000 },
  { upTo: 0.93, minBytes: 1000, maxBytes: 2048 },
  { upTo: 0.988, minBytes: 3600, maxBytes: 4600 },
  { upTo: 0.9975, minBytes: 4600, maxBytes: 16_384 },
  { upTo: 1, minBytes: 16_384, maxBytes: pieceMaxBytes },
] as const;

/** Cuts text into consecutive pieces of 200 B to 64 KiB, at line ends where there are any, never within a character. */
export function* piecesOf(bytes: Buffer, digest: Buffer): Generator<string> {
  let start = 0;
  for (let ordinal = 0; bytes.length - start >= pieceMinBytes; ordinal += 1) {
    const end = endOf(bytes, start, sizeBytes(digest, ordinal));
    const text = bytes.toString("utf8", start, end).trim();
    start = end;
    if (Buffer.byteLength(text) >= pieceMinBytes && isProse(text)) yield text;
  }
}

/** From the content's digest, so that the same text is cut in the same way on every machine. */
function sizeBytes(digest: Buffer, ordinal: number): number {
  const drawn = createHash("sha256").update(digest).update(String(ordinal)).digest();
  const share = drawn.readUInt32BE(0) / 2 ** 32;
  const { minBytes, maxBytes } = sizes.find(({ upTo }) => share < upTo) ?? sizes[0];
  return minBytes + (drawn.readUInt32BE(4) % (maxBytes - minBytes + 1));
}

function endOf(bytes: Buffer, start: number, wantedBytes: number): number {
  let end = start + wantedBytes;
  if (end >= bytes.length) return bytes.length;
  const line = bytes.lastIndexOf(0x0a, end - 1) + 1;
  if (line - start >= Math.max(pieceMinBytes, 0.6 * wantedBytes)) return line;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return end;
}

/** Tables of numbers and banners are no text: at least half of the characters must be letters. */
function isProse(text: string): boolean {
  let letters = 0;
  for (let index = 0; index < text.length; index += 1) {
    const lower = text.charCodeAt(index) | 0x20;
    if ((lower >= 0x61 && lower <= 0x7a) || lower >= 0xc0) letters += 1;
  }
  return letters >= text.length / 2;
}

/** Heading of a piece: its first line that has words, without markup; at most 80 characters. */
export function titleOf(text: string, otherwise: string): string {
  const line = text.split("\n", 40).find((candidate) => /\p{L}{3}/u.test(candidate));
  const words = line?.replace(/^[^\p{L}\p{N}]+/u, "").trim() ?? otherwise;
  return Array.from(words.slice(0, 400)).slice(0, 80).join("").toWellFormed();
}
