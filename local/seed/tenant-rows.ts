import { CopyEncoder } from "../../migrations/postgres/copy-format.ts";
import { chunksOf } from "../../tests/workload/chunks.ts";
import { embed } from "../../tests/workload/embedding.ts";
import type { CorpusPiece } from "./corpus.ts";
import type { SeedCounts } from "./marker.ts";
import { type BodyDigest, digestOf, sha256 } from "./row-digest.ts";
import { seedId, seedNumber, uuidText } from "./seed-id.ts";

/** R1's tables in an order that foreign keys allow, with the columns that the seed fills. */
export const seedTables = {
  conversations: "id, title, created_at",
  prompts: "id, conversation_id, title, created_at, updated_at",
  prompt_bodies: "prompt_id, body",
  messages: "id, conversation_id, role, created_at",
  message_bodies: "message_id, body",
  chunks: "id, prompt_id, ordinal, text",
  chunk_embeddings: "chunk_id, embedding",
} as const;
export type SeedTable = keyof typeof seedTables;

/** Days before now over which the rows were created. */
const pastDays = 30;
const dayMs = 86_400_000;
/** Of ten prompts one is indexed for search. */
const promptsPerIndexed = 10;
/** PostgreSQL counts time from 2000-01-01 on. */
const postgresEpochMs = Date.UTC(2000, 0, 1);

/** Turns corpus pieces into one tenant's rows: of five pieces three prompts and two messages. */
export class TenantRows {
  readonly #tenant: string;
  readonly #rows: number;
  readonly #nowMs: number;
  readonly #digests: BodyDigest[] = [];
  #encoders = newEncoders();
  #counts = { rows: 0, prompts: 0, messages: 0, chunks: 0, bytes: 0 };
  #conversations = 0;
  #conversation: Buffer | undefined;
  #messagesLeft = 0;

  /**
   * @param rows prompts and messages that will be added in all
   * @param nowMs time that the last row comes close to, milliseconds since 1970
   */
  constructor(tenant: string, rows: number, nowMs: number) {
    this.#tenant = tenant;
    this.#rows = rows;
    this.#nowMs = nowMs;
  }

  add(piece: CorpusPiece): void {
    const body = Buffer.from(piece.text);
    const createdAt = this.#createdAt();
    const isPrompt = this.#counts.rows % 5 < 3;
    const id = isPrompt ? this.#addPrompt(piece, body, createdAt) : this.#addMessage(piece, body, createdAt);
    this.#digests.push({ kind: isPrompt ? "prompt" : "message", id: uuidText(id), sha256: sha256(piece.text) });
    this.#counts.rows += 1;
    this.#counts.bytes += body.length;
  }

  /** Rows since the last call, ready for COPY, per table in the order of `seedTables`. */
  take(): [SeedTable, CopyEncoder][] {
    const taken = this.#encoders;
    this.#encoders = newEncoders();
    return (Object.entries(taken) as [SeedTable, CopyEncoder][]).filter(([, encoder]) => encoder.rows > 0);
  }

  /** Counts so far, see `SeedCounts`. */
  counts(): SeedCounts {
    return { ...this.#counts, digest: digestOf(this.#digests) };
  }

  #addPrompt(piece: CorpusPiece, body: Buffer, createdAt: Buffer): Buffer {
    const index = this.#counts.prompts;
    const id = seedId(this.#tenant, "prompt", index);
    // A third of the prompts was written within the conversation under way.
    const conversation = index % 3 === 0 ? (this.#conversation ?? null) : null;
    this.#encoders.prompts.add([id, conversation, Buffer.from(piece.title), createdAt, createdAt]);
    this.#encoders.prompt_bodies.add([id, body]);
    if (index % promptsPerIndexed === 0) this.#addChunks(id, piece.text);
    this.#counts.prompts += 1;
    return id;
  }

  #addChunks(prompt: Buffer, text: string): void {
    for (const [ordinal, chunk] of chunksOf(text).entries()) {
      const id = seedId(this.#tenant, "chunk", this.#counts.chunks);
      this.#encoders.chunks.add([id, prompt, int32(ordinal), Buffer.from(chunk)]);
      this.#encoders.chunk_embeddings.add([id, vector(embed(chunk))]);
      this.#counts.chunks += 1;
    }
  }

  #addMessage(piece: CorpusPiece, body: Buffer, createdAt: Buffer): Buffer {
    if (this.#conversation === undefined || this.#messagesLeft === 0) {
      this.#conversation = seedId(this.#tenant, "conversation", this.#conversations);
      // Two to twelve messages, an even number, so that a user is always answered.
      this.#messagesLeft = 2 + 2 * (seedNumber(this.#tenant, "conversation", this.#conversations) % 6);
      this.#encoders.conversations.add([this.#conversation, Buffer.from(piece.title), createdAt]);
      this.#conversations += 1;
    }
    const id = seedId(this.#tenant, "message", this.#counts.messages);
    const role = this.#messagesLeft % 2 === 0 ? "user" : "assistant";
    this.#encoders.messages.add([id, this.#conversation, Buffer.from(role), createdAt]);
    this.#encoders.message_bodies.add([id, body]);
    this.#counts.messages += 1;
    this.#messagesLeft -= 1;
    return id;
  }

  /** Rows follow each other in time, at uneven distances. */
  #createdAt(): Buffer {
    const index = this.#counts.rows;
    const within = index + seedNumber(this.#tenant, "marker", index) / 2 ** 32;
    const ageMs = pastDays * dayMs * (1 - within / this.#rows);
    return timestamp(Math.floor(this.#nowMs - ageMs));
  }
}

const newEncoders = () =>
  Object.fromEntries(Object.keys(seedTables).map((table) => [table, new CopyEncoder()])) as Record<
    SeedTable,
    CopyEncoder
  >;

/** Binary `timestamptz`: microseconds. */
function timestamp(atMs: number): Buffer {
  const field = Buffer.alloc(8);
  field.writeBigInt64BE(BigInt(atMs - postgresEpochMs) * 1000n);
  return field;
}

function int32(value: number): Buffer {
  const field = Buffer.alloc(4);
  field.writeInt32BE(value);
  return field;
}

/** Binary form of pgvector's `vector`: dimensions, a reserved zero, float32 each. */
function vector(values: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 4 * values.length);
  field.writeInt16BE(values.length);
  for (const [index, value] of values.entries()) field.writeFloatBE(value, 4 + 4 * index);
  return field;
}
