import { chunksOf } from "../../tests/workload/chunks.ts";
import { embed, vectorLiteral } from "../../tests/workload/embedding.ts";
import { idOfKey } from "../../tests/workload/id-of-key.ts";
import type { CopyValue } from "./copy-rows.ts";
import { type BodyDigest, sha256 } from "./row-digest.ts";

/** Every seeded record carries a key of this form, which tells it from what traffic wrote. */
export const SEED_KEY_PREFIX = "seed-";

/** Of 10 rows 6 are prompts; a conversation has 8 messages; one prompt in 10 is indexed for search. */
const PROMPTS_OF_TEN = 6;
const MESSAGES_PER_CONVERSATION = 8;
const PROMPTS_PER_INDEXED = 10;

/** Time of the first record: seeded data has a past, and the same one at every run. */
const FIRST_RECORD_MS = Date.UTC(2026, 0, 5, 8);
const MS_BETWEEN_RECORDS = 61_000;

type Table =
  "conversations" | "prompts" | "prompt_bodies" | "messages" | "message_bodies" | "chunks" | "chunk_embeddings";

/** Columns of each table in the order in which {@link tenantRows} fills them; parents first. */
export const SEED_COLUMNS: Readonly<Record<Table, readonly string[]>> = {
  conversations: ["id", "title", "created_at"],
  prompts: ["id", "conversation_id", "title", "idempotency_key", "created_at", "updated_at"],
  prompt_bodies: ["prompt_id", "body"],
  messages: ["id", "conversation_id", "role", "idempotency_key", "created_at"],
  message_bodies: ["message_id", "body"],
  chunks: ["id", "prompt_id", "ordinal", "text"],
  chunk_embeddings: ["chunk_id", "embedding"],
};

export interface TenantRows {
  readonly tables: Readonly<Record<Table, readonly (readonly CopyValue[])[]>>;
  readonly digests: readonly BodyDigest[];
}

/** Lays pieces of text out as a tenant's conversations, prompts and messages. Ids follow from tenant and position. */
export function tenantRows(tenant: string, pieces: readonly string[]): TenantRows {
  const tables: Record<Table, CopyValue[][]> = {
    conversations: [],
    prompts: [],
    prompt_bodies: [],
    messages: [],
    message_bodies: [],
    chunks: [],
    chunk_embeddings: [],
  };
  const digests: BodyDigest[] = [];
  const id = (kind: string, index: number): string => idOfKey(`seed ${kind}`, `${tenant} ${index}`);
  let conversation: string | null = null;
  let messages = 0;
  pieces.forEach((body, index) => {
    const at = new Date(FIRST_RECORD_MS + index * MS_BETWEEN_RECORDS).toISOString();
    const key = `${SEED_KEY_PREFIX}${index}`;
    if (index % 10 >= PROMPTS_OF_TEN) {
      if (messages % MESSAGES_PER_CONVERSATION === 0 || conversation === null) {
        conversation = id("conversation", index);
        tables.conversations.push([conversation, titleOf(body), at]);
      }
      const message = id("message", index);
      tables.messages.push([message, conversation, messages % 2 === 0 ? "user" : "assistant", key, at]);
      tables.message_bodies.push([message, body]);
      digests.push({ kind: "message", id: message, sha256: sha256(body) });
      messages += 1;
      return;
    }
    const prompt = id("prompt", index);
    tables.prompts.push([prompt, index % 3 === 0 ? conversation : null, titleOf(body), key, at, at]);
    tables.prompt_bodies.push([prompt, body]);
    digests.push({ kind: "prompt", id: prompt, sha256: sha256(body) });
    if (tables.prompts.length % PROMPTS_PER_INDEXED !== 1) return;
    chunksOf(body).forEach((text, ordinal) => {
      const chunk = id("chunk", index * 10 + ordinal);
      tables.chunks.push([chunk, prompt, ordinal, text]);
      tables.chunk_embeddings.push([chunk, vectorLiteral(embed(text))]);
    });
  });
  return { tables, digests };
}

/** First words of a text, as a client would propose them. */
function titleOf(body: string): string {
  const words = body.replace(/\s+/g, " ").trim();
  return Array.from(words).slice(0, 80).join("") || "untitled";
}
