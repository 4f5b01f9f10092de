"""R1 baseline: prompts, conversations, messages, chunks; every text in a leaf table of (key, payload).

Revision ID: 0001
Revises:
"""

from guards import lock_for_drop, refuse_rows

revision = "0001"
down_revision = None

# Children first: the order in which they can be dropped.
TABLES = ("chunk_embeddings", "chunks", "message_bodies", "messages", "prompt_bodies", "prompts", "conversations")

STATEMENTS = (
    """CREATE TABLE conversations (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        title text,
        created_at timestamptz NOT NULL DEFAULT now())""",
    """CREATE TABLE prompts (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        conversation_id uuid REFERENCES conversations (id) ON DELETE SET NULL,
        title text NOT NULL,
        idempotency_key text UNIQUE,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX prompts_conversation_id_idx ON prompts (conversation_id)",
    """CREATE TABLE prompt_bodies (
        prompt_id uuid PRIMARY KEY,
        body text NOT NULL,
        CONSTRAINT prompt_bodies_prompt_id_fkey FOREIGN KEY (prompt_id) REFERENCES prompts (id) ON DELETE CASCADE)""",
    """CREATE TABLE messages (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        conversation_id uuid NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        role text NOT NULL CHECK (role IN ('user', 'assistant', 'system')),
        idempotency_key text UNIQUE,
        created_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX messages_conversation_id_created_at_idx ON messages (conversation_id, created_at, id)",
    """CREATE TABLE message_bodies (
        message_id uuid PRIMARY KEY,
        body text NOT NULL,
        CONSTRAINT message_bodies_message_id_fkey FOREIGN KEY (message_id) REFERENCES messages (id) ON DELETE CASCADE)""",
    """CREATE TABLE chunks (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        prompt_id uuid NOT NULL REFERENCES prompts (id) ON DELETE CASCADE,
        ordinal integer NOT NULL,
        text text NOT NULL,
        UNIQUE (prompt_id, ordinal))""",
    """CREATE TABLE chunk_embeddings (
        chunk_id uuid PRIMARY KEY REFERENCES chunks (id) ON DELETE CASCADE,
        embedding vector(64) NOT NULL)""",
    "CREATE INDEX chunk_embeddings_embedding_idx ON chunk_embeddings USING hnsw (embedding vector_cosine_ops)",
)


def upgrade(op):
    # The extension itself is made by onboarding: only the operator's login may create it.
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade(op):
    lock_for_drop(op, TABLES)
    refuse_rows(op, "downgrade of 0001", TABLES)
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
