"""Alembic's own command line, for authors of revisions: `-x url=env:NAME [-x database=NAME]`."""

import os

from alembic import context
from alembic.operations import Operations

from session import database_url, migration_session


def reference(value):
    """Only references: a URL typed here would stand in the shell's history with its password."""
    if not value or not value.startswith("env:"):
        raise SystemExit("alembic needs -x url=env:NAME, NAME being an environment variable that holds a PostgreSQL URL")
    found = os.environ.get(value[4:])
    if not found:
        raise SystemExit(f"{value} is empty; run: source .local/env")
    return found


if context.is_offline_mode():
    raise SystemExit("--sql is refused: revisions look at the ledger before they drop anything; leave --sql out")

arguments = context.get_x_argument(as_dictionary=True)
with migration_session(database_url(reference(arguments.get("url")), arguments.get("database")), 2000) as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations(op=Operations(context.get_context()))
