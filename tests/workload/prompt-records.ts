import { randomUUID } from "node:crypto";
import type pg from "pg";
import type { BodyStore } from "./body-store.ts";
import { chunksOf } from "./chunks.ts";
import { embed, vectorLiteral } from "./embedding.ts";
import { ReplyError } from "./reply-error.ts";
import type { TenantDatabases } from "./tenant-databases.ts";

export interface PromptInput {
  readonly title: string;
  readonly body: string;
  readonly conversationId: string | null;
}

export interface PromptSummary {
  readonly id: string;
  readonly conversationId: string | null;
  readonly title: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface Prompt extends PromptSummary {
  readonly body: string;
}

/** A row of `prompts` as the driver reads it. */
interface PromptRow {
  readonly id: string;
  readonly conversation_id: string | null;
  readonly title: string;
  readonly created_at: Date;
  readonly updated_at: Date;
}

const COLUMNS = "p.id, p.conversation_id, p.title, p.created_at, p.updated_at";

/** Prompts of tenants. Every change touches the body table before it touches the parent: the fence stands on bodies. */
export class PromptRecords {
  readonly #databases: TenantDatabases;
  readonly #bodies: BodyStore;

  constructor(databases: TenantDatabases, bodies: BodyStore) {
    this.#databases = databases;
    this.#bodies = bodies;
  }

  /** Creates a prompt; the same idempotency key returns the record that it made before. */
  async create(
    tenant: string,
    key: string | undefined,
    input: PromptInput,
  ): Promise<{ prompt: Prompt; isNew: boolean }> {
    const id = randomUUID();
    const stored = await this.#bodies.write(tenant, "prompt", id, input.body);
    const created = await this.#databases.transaction(tenant, async (client) => {
      const { rows } = await client.query(
        `WITH p AS (
           INSERT INTO prompts (id, conversation_id, title, idempotency_key, created_at, updated_at)
           VALUES ($1, $2, $3, $4, now(), now()) ON CONFLICT (idempotency_key) DO NOTHING
           RETURNING id, conversation_id, title, created_at, updated_at
         ), b AS (INSERT INTO ${this.#bodies.tables.prompt} (prompt_id, body) SELECT id, $5::${this.#bodies.columnType} FROM p)
         SELECT * FROM p`,
        [id, input.conversationId, input.title, key ?? null, stored],
      );
      if (rows[0] === undefined) return undefined;
      await indexChunks(client, id, input.body);
      return summary(rows[0]);
    });
    if (created !== undefined) return { prompt: { ...created, body: input.body }, isNew: true };
    const before = await this.#find(tenant, "p.idempotency_key = $1", key);
    if (before === undefined) throw new ReplyError("conflict", "the record of this Idempotency-Key was just deleted");
    return { prompt: before, isNew: false };
  }

  /** @throws ReplyError not-found */
  async get(tenant: string, id: string): Promise<Prompt> {
    const prompt = await this.#find(tenant, "p.id = $1", id);
    if (prompt === undefined) throw missing(id);
    return prompt;
  }

  /** Replaces the whole prompt. @throws ReplyError not-found */
  async replace(tenant: string, id: string, input: PromptInput): Promise<Prompt> {
    const stored = await this.#bodies.write(tenant, "prompt", id, input.body);
    return await this.#databases.transaction(tenant, async (client) => {
      const bodies = await client.query(`UPDATE ${this.#bodies.tables.prompt} SET body = $2 WHERE prompt_id = $1`, [
        id,
        stored,
      ]);
      if (bodies.rowCount === 0) throw missing(id);
      const { rows } = await client.query(
        `UPDATE prompts p SET title = $2, conversation_id = $3, updated_at = now() WHERE p.id = $1 RETURNING ${COLUMNS}`,
        [id, input.title, input.conversationId],
      );
      await client.query("DELETE FROM chunks WHERE prompt_id = $1", [id]);
      await indexChunks(client, id, input.body);
      return { ...summary(rows[0]), body: input.body };
    });
  }

  /** @throws ReplyError not-found */
  async remove(tenant: string, id: string): Promise<void> {
    await this.#databases.transaction(tenant, async (client) => {
      // The cascade from prompts runs with the owner's rights and would slip past the fence: the body goes first.
      const bodies = await client.query(`DELETE FROM ${this.#bodies.tables.prompt} WHERE prompt_id = $1`, [id]);
      if (bodies.rowCount === 0) throw missing(id);
      await client.query("DELETE FROM prompts WHERE id = $1", [id]);
    });
  }

  /** One page in the order of ids, without bodies. */
  async list(tenant: string, after: string | undefined, limit: number): Promise<PromptSummary[]> {
    return await this.#databases.run(tenant, async (pool) => {
      const { rows } = await pool.query(
        `SELECT ${COLUMNS} FROM prompts p WHERE $1::uuid IS NULL OR p.id > $1 ORDER BY p.id LIMIT $2`,
        [after ?? null, limit],
      );
      return rows.map(summary);
    });
  }

  async #find(tenant: string, condition: string, value: string | undefined): Promise<Prompt | undefined> {
    const row = await this.#databases.run(tenant, async (pool) => {
      const { rows } = await pool.query(
        `SELECT ${COLUMNS}, b.body FROM prompts p JOIN ${this.#bodies.tables.prompt} b ON b.prompt_id = p.id WHERE ${condition}`,
        [value],
      );
      return rows[0];
    });
    return row && { ...summary(row), body: await this.#bodies.read(tenant, "prompt", row.id, row.body) };
  }
}

async function indexChunks(client: pg.PoolClient, promptId: string, body: string): Promise<void> {
  const texts = chunksOf(body);
  if (texts.length === 0) return;
  const ids = texts.map(() => randomUUID());
  await client.query(
    `INSERT INTO chunks (id, prompt_id, ordinal, text)
     SELECT c.id, $1, c.ordinal - 1, c.text FROM unnest($2::uuid[], $3::text[]) WITH ORDINALITY AS c(id, text, ordinal)`,
    [promptId, ids, texts],
  );
  await client.query(
    "INSERT INTO chunk_embeddings (chunk_id, embedding) SELECT e.id, e.vector::vector FROM unnest($1::uuid[], $2::text[]) AS e(id, vector)",
    [ids, texts.map((text) => vectorLiteral(embed(text)))],
  );
}

function summary(row: PromptRow): PromptSummary {
  return {
    id: row.id,
    conversationId: row.conversation_id,
    title: row.title,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

function missing(id: string): ReplyError {
  return new ReplyError("not-found", `no prompt ${id}`);
}
