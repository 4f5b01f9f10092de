import { randomUUID } from "node:crypto";
import type { BodyStore } from "./body-store.ts";
import { idOfKey } from "./id-of-key.ts";
import { ReplyError } from "./reply-error.ts";
import type { TenantDatabases } from "./tenant-databases.ts";

export interface Conversation {
  readonly id: string;
  readonly title: string;
  readonly createdAt: string;
}

export interface MessageInput {
  readonly role: string;
  readonly body: string;
}

export interface Message extends MessageInput {
  readonly id: string;
  readonly conversationId: string;
  readonly createdAt: string;
}

/** A row of `conversations` as the driver reads it. */
interface ConversationRow {
  readonly id: string;
  readonly title: string;
  readonly created_at: Date;
}

/** A row of `messages` as the driver reads it. */
interface MessageRow {
  readonly id: string;
  readonly conversation_id: string;
  readonly role: string;
  readonly created_at: Date;
}

const COLUMNS = "m.id, m.conversation_id, m.role, m.created_at, b.body";

/** Conversations of tenants and their messages. */
export class ConversationRecords {
  readonly #databases: TenantDatabases;
  readonly #bodies: BodyStore;

  constructor(databases: TenantDatabases, bodies: BodyStore) {
    this.#databases = databases;
    this.#bodies = bodies;
  }

  /** Creates a conversation; the same idempotency key returns the same one. */
  async create(
    tenant: string,
    key: string | undefined,
    title: string,
  ): Promise<{ conversation: Conversation; isNew: boolean }> {
    const id = key === undefined ? randomUUID() : idOfKey("conversation", key);
    return await this.#databases.transaction(tenant, async (client) => {
      const inserted = await client.query(
        "INSERT INTO conversations (id, title, created_at) VALUES ($1, $2, now()) ON CONFLICT (id) DO NOTHING RETURNING *",
        [id, title],
      );
      if (inserted.rows[0] !== undefined) return { conversation: conversation(inserted.rows[0]), isNew: true };
      const { rows } = await client.query("SELECT id, title, created_at FROM conversations WHERE id = $1", [id]);
      return { conversation: conversation(rows[0]), isNew: false };
    });
  }

  /** One page in the order of ids. */
  async list(tenant: string, after: string | undefined, limit: number): Promise<Conversation[]> {
    return await this.#databases.run(tenant, async (pool) => {
      const { rows } = await pool.query(
        "SELECT id, title, created_at FROM conversations WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
        [after ?? null, limit],
      );
      return rows.map(conversation);
    });
  }

  /** Appends a message; the same idempotency key returns the same one. @throws ReplyError not-found, conflict */
  async append(
    tenant: string,
    conversationId: string,
    key: string | undefined,
    input: MessageInput,
  ): Promise<{ message: Message; isNew: boolean }> {
    const id = randomUUID();
    const stored = await this.#bodies.write(tenant, "message", id, input.body);
    const row = await this.#databases.transaction(tenant, async (client) => {
      const parent = await client.query("SELECT 1 FROM conversations WHERE id = $1 FOR KEY SHARE", [conversationId]);
      if (parent.rowCount === 0) throw missing(conversationId);
      // clock_timestamp, not now: the order of messages is the order in which they were taken in.
      const { rows } = await client.query(
        `WITH m AS (
           INSERT INTO messages (id, conversation_id, role, idempotency_key, created_at)
           VALUES ($1, $2, $3, $4, clock_timestamp()) ON CONFLICT (idempotency_key) DO NOTHING
           RETURNING id, conversation_id, role, created_at
         ), b AS (INSERT INTO ${this.#bodies.tables.message} (message_id, body) SELECT id, $5::${this.#bodies.columnType} FROM m)
         SELECT * FROM m`,
        [id, conversationId, input.role, key ?? null, stored],
      );
      return rows[0];
    });
    if (row !== undefined) return { message: message(row, input.body), isNew: true };
    const before = await this.#findByKey(tenant, key);
    if (before === undefined || before.conversationId !== conversationId) {
      throw new ReplyError("conflict", "this Idempotency-Key belongs to a message of another conversation");
    }
    return { message: before, isNew: false };
  }

  /** One page of a conversation in the order of arrival, with bodies. @throws ReplyError not-found */
  async messages(tenant: string, conversationId: string, after: string | undefined, limit: number): Promise<Message[]> {
    const rows = await this.#databases.run(tenant, async (pool) => {
      const found = await pool.query(
        `SELECT ${COLUMNS} FROM messages m JOIN ${this.#bodies.tables.message} b ON b.message_id = m.id
         WHERE m.conversation_id = $1
           AND ($2::uuid IS NULL OR (m.created_at, m.id) > (SELECT a.created_at, a.id FROM messages a WHERE a.id = $2))
         ORDER BY m.created_at, m.id LIMIT $3`,
        [conversationId, after ?? null, limit],
      );
      if (found.rowCount === 0) {
        const parent = await pool.query("SELECT 1 FROM conversations WHERE id = $1", [conversationId]);
        if (parent.rowCount === 0) throw missing(conversationId);
      }
      return found.rows;
    });
    return await Promise.all(rows.map(async (row) => message(row, await this.#read(tenant, row))));
  }

  async #findByKey(tenant: string, key: string | undefined): Promise<Message | undefined> {
    const row = await this.#databases.run(tenant, async (pool) => {
      const { rows } = await pool.query(
        `SELECT ${COLUMNS} FROM messages m JOIN ${this.#bodies.tables.message} b ON b.message_id = m.id
         WHERE m.idempotency_key = $1`,
        [key],
      );
      return rows[0];
    });
    return row && message(row, await this.#read(tenant, row));
  }

  async #read(tenant: string, row: { id: string; body: string | Buffer }): Promise<string> {
    return await this.#bodies.read(tenant, "message", row.id, row.body);
  }
}

function conversation(row: ConversationRow): Conversation {
  return { id: row.id, title: row.title, createdAt: row.created_at.toISOString() };
}

function message(row: MessageRow, body: string): Message {
  return {
    id: row.id,
    conversationId: row.conversation_id,
    role: row.role,
    body,
    createdAt: row.created_at.toISOString(),
  };
}

function missing(id: string): ReplyError {
  return new ReplyError("not-found", `no conversation ${id}`);
}
