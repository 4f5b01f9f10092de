"""R3 contract: the vectors in pgvector go.

Revision ID: 0005
Revises: 0004
"""

from guards import lock_for_drop, refuse_unless_retired

revision = "0005"
down_revision = "0004"

MIRROR = "vector-store"
SOURCES = ("chunk_embeddings",)


def upgrade(op):
    lock_for_drop(op, SOURCES)
    refuse_unless_retired(op, "upgrade to 0005", MIRROR, SOURCES)
    for table in SOURCES:
        op.execute(f"DROP TABLE {table}")


def downgrade(op):
    # Empty and without foreign key: the engine rebuilds the rows, then adds the key under the name it had in 0001. With its
    # index: who searches pgvector again must not find it without.
    op.execute("CREATE TABLE chunk_embeddings (chunk_id uuid PRIMARY KEY, embedding vector(64) NOT NULL)")
    op.execute(
        "CREATE INDEX chunk_embeddings_embedding_idx ON chunk_embeddings USING hnsw (embedding vector_cosine_ops)"
    )
