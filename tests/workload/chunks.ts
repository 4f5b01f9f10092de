/** Characters (Unicode code points) of one chunk at most. */
export const CHUNK_CHARACTERS = 500;
/** Chunks indexed per prompt: the head of a prompt says what it is about. */
export const CHUNKS_PER_PROMPT = 3;

/** Cuts the head of a text into the chunks that are indexed, at white space where there is any. Empty text has none. */
export function chunksOf(text: string): string[] {
  const chunks: string[] = [];
  // Code points, not UTF-16 units: half a surrogate pair is not storable text.
  let rest = Array.from(text.slice(0, 2 * CHUNK_CHARACTERS * CHUNKS_PER_PROMPT));
  while (rest.length > 0 && chunks.length < CHUNKS_PER_PROMPT) {
    const head = rest.slice(0, CHUNK_CHARACTERS);
    const space = rest.length > CHUNK_CHARACTERS ? head.findLastIndex((character) => /\s/.test(character)) : -1;
    const length = space > CHUNK_CHARACTERS / 2 ? space + 1 : head.length;
    chunks.push(rest.slice(0, length).join("").toWellFormed());
    rest = rest.slice(length);
  }
  return chunks;
}
