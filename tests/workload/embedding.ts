import { createHash } from "node:crypto";

/** Dimensions of `chunk_embeddings.embedding`. */
export const EMBEDDING_DIMENSIONS = 64;

const WORD = /[\p{L}\p{N}]+/gu;

/**
 * Embeds text by signed feature hashing of word unigrams and bigrams, l2-normalised. Deterministic: the same text has
 * the same vector in every release and process (Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask
 * Learning"). Text without a word yields a fixed unit vector, because cosine distance to zero is undefined.
 */
export function embed(text: string): number[] {
  const vector = new Array<number>(EMBEDDING_DIMENSIONS).fill(0);
  let previous: string | undefined;
  for (const [word] of text.toLowerCase().matchAll(WORD)) {
    add(vector, word, 1);
    // A bigram weighs half: word order matters less than the words themselves.
    if (previous !== undefined) add(vector, `${previous} ${word}`, 0.5);
    previous = word;
  }
  const norm = Math.hypot(...vector);
  if (norm === 0) return vector.map((_, dimension) => (dimension === 0 ? 1 : 0));
  return vector.map((value) => value / norm);
}

/** Text form that pgvector reads; float32 keeps 9 significant digits exactly. */
export function vectorLiteral(vector: readonly number[]): string {
  return `[${vector.map((value) => Math.fround(value).toPrecision(9)).join(",")}]`;
}

const slots = new Map<string, number>();

function add(vector: number[], feature: string, weight: number): void {
  let slot = slots.get(feature);
  if (slot === undefined) {
    // 16 bits of the digest: 6 for the dimension, the top one for the sign.
    slot = createHash("md5").update(feature).digest().readUInt16BE(0);
    if (slots.size > 200_000) slots.clear();
    slots.set(feature, slot);
  }
  const dimension = slot % EMBEDDING_DIMENSIONS;
  vector[dimension] = (vector[dimension] ?? 0) + (slot & 0x8000 ? -weight : weight);
}
