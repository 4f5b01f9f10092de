"""Sessions in which revisions run: as the migration role, one runner per database, never long in a lock queue."""

from contextlib import contextmanager

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

MIGRATION_ROLE = "rc_migrator"
# "rcalembc" as a number: two runners on one database take turns.
RUNNER_LOCK = 0x7263616C656D6263


def database_url(text_url, database=None):
    """The URL for psycopg 3, with the role taken at connection time so that even an early failure runs as it.

    `text_url` is a libpq URL; its own `options` are kept, in front of ours.
    """
    url = make_url(text_url).set(drivername="postgresql+psycopg")
    return url.set(database=database) if database else url


@contextmanager
def migration_session(url, lock_timeout_ms):
    """A direct connection (session locks do not survive a pooler) that owns the database's runner lock.

    `lock_timeout_ms` bounds every wait for a lock, this one included: behind a waiting DDL statement all readers queue.
    """
    own = [
        f"-c role={MIGRATION_ROLE}",
        f"-c lock_timeout={int(lock_timeout_ms)}",
        "-c search_path=public",
        "-c application_name=rc-alembic",
    ]
    given = url.query.get("options", ())
    options = " ".join([*([given] if isinstance(given, str) else given), *own])
    url = url.difference_update_query(["options"])
    engine = create_engine(url, poolclass=NullPool, connect_args={"options": options, "connect_timeout": 10})
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": RUNNER_LOCK})
            connection.commit()
            yield connection
    finally:
        # Closing the connection gives the runner lock back, whatever state its transaction is in.
        engine.dispose()
