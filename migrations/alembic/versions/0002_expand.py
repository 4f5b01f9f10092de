"""R2 expand: sealed copies of the bodies, empty, beside the ones in clear.

Revision ID: 0002
Revises: 0001
"""

from guards import lock_for_drop, refuse_unless_off

revision = "0002"
down_revision = "0001"

MIRROR = "prompt-encryption"
SINKS = ("prompt_bodies_sealed", "message_bodies_sealed")


def upgrade(op):
    # No foreign key yet: the engine adds `<table>_<key>_fkey` after the load, when checking it costs one pass.
    op.execute("CREATE TABLE prompt_bodies_sealed (prompt_id uuid PRIMARY KEY, body bytea NOT NULL)")
    op.execute("CREATE TABLE message_bodies_sealed (message_id uuid PRIMARY KEY, body bytea NOT NULL)")
    # Ciphertext does not compress: EXTERNAL saves the attempt on every write.
    op.execute("ALTER TABLE prompt_bodies_sealed ALTER COLUMN body SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE message_bodies_sealed ALTER COLUMN body SET STORAGE EXTERNAL")


def downgrade(op):
    lock_for_drop(op, SINKS)
    refuse_unless_off(op, "downgrade of 0002", MIRROR, SINKS)
    for table in SINKS:
        op.execute(f"DROP TABLE {table}")
