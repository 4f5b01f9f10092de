"""R2 contract: the bodies in clear go.

Revision ID: 0003
Revises: 0002
"""

from guards import lock_for_drop, refuse_unless_retired

revision = "0003"
down_revision = "0002"

MIRROR = "prompt-encryption"
SOURCES = ("prompt_bodies", "message_bodies")


def upgrade(op):
    lock_for_drop(op, SOURCES)
    refuse_unless_retired(op, "upgrade to 0003", MIRROR, SOURCES)
    for table in SOURCES:
        op.execute(f"DROP TABLE {table}")


def downgrade(op):
    # Empty and without foreign key: the engine rebuilds the rows, then adds the key under the name it had in 0001.
    op.execute("CREATE TABLE prompt_bodies (prompt_id uuid PRIMARY KEY, body text NOT NULL)")
    op.execute("CREATE TABLE message_bodies (message_id uuid PRIMARY KEY, body text NOT NULL)")
