"""Takes one database to one revision. Thread-safe: nothing goes through Alembic's global proxies."""

import random
import re
import time

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from guards import RefusedToDrop
from session import migration_session

# lock_not_available, deadlock_detected, serialization_failure, too_many_connections, cannot_connect_now, admin_shutdown
PASSING_STATES = {"55P03", "40P01", "40001", "53300", "57P03", "57P01"}
PASSING_WORDS = re.compile(
    "Connection refused|timeout|starting up|shutting down|too many clients|connection slots|closed the connection"
)


def lineage(script, revision):
    """Revisions from base up to and including `revision`; empty for None. Raises CommandError for an unknown one."""
    if revision is None:
        return []
    script.get_revision(revision)
    return [found.revision for found in script.iterate_revisions(revision, "base")][::-1]


def plan(script, direction, target, current):
    """Steps to run; none when the database is there or beyond, so that every call may be repeated."""
    behind = lineage(script, current)
    goal = None if target == "base" else target
    if direction == "upgrade":
        return [] if goal is None or goal in behind else script._upgrade_revs(goal, current)
    if goal == current or (goal is not None and goal not in behind):
        return []
    return script._downgrade_revs(target, current)


def migrate_once(script, direction, target, url, lock_timeout_ms):
    """(revision before, revision after), one transaction per revision."""
    with migration_session(url, lock_timeout_ms) as connection:
        seen = []

        def steps(heads, _context):
            seen.append(heads[0] if heads else None)
            return plan(script, direction, target, seen[0])

        options = {"script": script, "fn": steps, "transaction_per_migration": True}
        context = MigrationContext.configure(connection=connection, opts=options)
        context.run_migrations(op=Operations(context))
        connection.commit()
        return seen[0], context.get_current_revision()


def migrate(script, direction, target, url, lock_timeout_ms, attempts):
    """Outcome for the caller as plain data; never raises for a fault of this one database."""
    for attempt in range(1, attempts + 1):
        try:
            before, after = migrate_once(script, direction, target, url, lock_timeout_ms)
            return {"status": "done", "from": before, "to": after, "attempts": attempt}
        except RefusedToDrop as refusal:
            return {"status": "refused", "reason": str(refusal), "attempts": attempt}
        except CommandError as fault:
            return {"status": "failed", "reason": f"{fault}; run the program that made it", "attempts": attempt}
        except Exception as fault:
            if not is_passing(fault) or attempt == attempts:
                return {"status": "failed", **describe(fault, url), "attempts": attempt}
            # Jitter: databases of one server must not all come back at once.
            time.sleep(random.uniform(0.05, min(1.0, 0.1 * attempt)))


def is_passing(fault):
    if not isinstance(fault, DBAPIError):
        return False
    state = getattr(fault.orig, "sqlstate", None)
    # Before a session exists libpq reports words only.
    return state in PASSING_STATES or state[:2] == "08" if state else bool(PASSING_WORDS.search(str(fault.orig)))


def describe(fault, url):
    """What failed, without statement, parameters, DETAIL (it quotes rows) and credentials."""
    origin = getattr(fault, "orig", None) or fault
    primary = getattr(getattr(origin, "diag", None), "message_primary", None)
    text = primary or str(origin).strip().split("\n")[0]
    if url.password:
        text = text.replace(str(url.password), "[secret]")
    text = re.sub(r"://[^@\s/]*@", "://[secret]@", text)
    found = {"reason": f"{type(origin).__name__}: {text}"}
    state = getattr(origin, "sqlstate", None)
    return {**found, "sqlstate": state} if state else found
