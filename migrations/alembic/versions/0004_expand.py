"""R3 expand: the register of the vectors that Milvus holds, empty, beside those in pgvector.

Revision ID: 0004
Revises: 0003
"""

from guards import lock_for_drop, refuse_unless_off

revision = "0004"
down_revision = "0003"

MIRROR = "vector-store"
SINKS = ("chunk_vectors",)


def upgrade(op):
    # A release on Milvus writes here first: the next version, pending; Milvus has it when it is ready. No foreign key yet:
    # the engine adds `<table>_<key>_fkey` after the load, when checking it costs one pass.
    op.execute(
        """CREATE TABLE chunk_vectors (
            chunk_id uuid PRIMARY KEY,
            vector_version bigint NOT NULL CHECK (vector_version > 0),
            state text NOT NULL CHECK (state IN ('pending', 'ready')))"""
    )
    # What a service that was ended between its two halves has left: found without reading the rest.
    op.execute("CREATE INDEX chunk_vectors_pending_idx ON chunk_vectors (chunk_id) WHERE state = 'pending'")


def downgrade(op):
    lock_for_drop(op, SINKS)
    refuse_unless_off(op, "downgrade of 0004", MIRROR, SINKS)
    for table in SINKS:
        op.execute(f"DROP TABLE {table}")
