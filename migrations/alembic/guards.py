"""Refusals: a revision never drops data, whoever runs it (`alembic upgrade head` on a laptop included)."""

from sqlalchemy import text


class RefusedToDrop(Exception):
    """A revision would drop tables that are still needed. Nothing was changed."""


def lock_for_drop(op, tables):
    """Shuts writers out before the checks, so that what was checked is what is dropped."""
    op.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")


def mirror_position(op, mirror):
    """Position in the ledger, held until commit; None when there is no ledger, 'off' when the ledger has no such mirror."""
    bind = op.get_bind()
    if bind.scalar(text("SELECT to_regclass('rc.mirror')")) is None:
        return None
    row = bind.scalar(text("SELECT position FROM rc.mirror WHERE mirror = :mirror FOR SHARE"), {"mirror": mirror})
    return row or "off"


def tables_with_rows(op, tables):
    bind = op.get_bind()
    return [table for table in tables if bind.scalar(text(f"SELECT EXISTS (SELECT 1 FROM {table})"))]


def refuse_rows(op, revision, tables):
    filled = tables_with_rows(op, tables)
    if filled:
        raise RefusedToDrop(
            f"{revision} would drop {', '.join(filled)}, which holds rows; only empty tables are dropped; "
            "move the data first: coordinator status names the tenant's next step"
        )


def refuse_unless_retired(op, revision, mirror, sources):
    """The sources may go when the ledger says that nobody can need them, or when this database never held any row."""
    position = mirror_position(op, mirror)
    if position is None:
        refuse_rows(op, revision, sources)
    elif position != "retired":
        raise RefusedToDrop(
            f"{revision} would drop {', '.join(sources)} while mirror {mirror} is {position}; allowed only when it is "
            "retired; name the mirror under finalize in the stack file, then: pulumi up"
        )


def refuse_unless_off(op, revision, mirror, sinks):
    """The sinks may go when nothing is kept equal to them and nothing is in them."""
    position = mirror_position(op, mirror)
    if position not in (None, "off"):
        raise RefusedToDrop(
            f"{revision} would drop {', '.join(sinks)} while mirror {mirror} is {position}; allowed only when it is "
            "off; pin the older release and name the mirror under finalize in the stack file, then: pulumi up"
        )
    refuse_rows(op, revision, sinks)
