"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
"""

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade(op):
    ${upgrades.replace("pass", "raise NotImplementedError") if upgrades else "raise NotImplementedError"}


def downgrade(op):
    ${downgrades.replace("pass", "raise NotImplementedError") if downgrades else "raise NotImplementedError"}
