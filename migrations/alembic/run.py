"""One process for the databases of a whole wave.

stdin: {"direction": "upgrade" | "downgrade", "revision": "0002", "databases": [{"database": NAME, "url": URL}],
        "concurrency": 4, "lockTimeoutMs": 250, "attempts": 40}
stdout: one line of JSON per database, as soon as it is finished:
        {"database", "status": "done" | "refused" | "failed", "from", "to", "reason", "sqlstate", "attempts", "seconds"}
Exit code 0 whatever the databases say, 2 for a request that cannot be read. URLs are read from stdin only: arguments
and environment of a process can be seen by others.
"""

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from migrate import lineage, migrate
from session import database_url

DIRECTIONS = ("upgrade", "downgrade")


def end_with(parent):
    """A killed parent cannot stop us, so we look: nobody reads our lines any more. Open transactions roll back."""
    while os.getppid() == parent:
        time.sleep(0.25)
    os._exit(75)


def parse(text, script):
    """The request, or SystemExit with all that is wrong with it."""
    try:
        request = json.loads(text)
        databases = [(entry["database"], entry["url"]) for entry in request["databases"]]
        direction, revision = request["direction"], request["revision"]
    except (ValueError, KeyError, TypeError) as fault:
        raise SystemExit(f"request is not as described in run.py: {type(fault).__name__} {str(fault)[:60]}")
    faults = []
    if direction not in DIRECTIONS:
        faults.append(f"direction {direction!r}; allowed: {', '.join(DIRECTIONS)}")
    names = [name for name, _ in databases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        faults.append(f"databases named twice: {', '.join(twice)}")
    try:
        known = lineage(script, script.get_current_head())
        if revision not in known and not (direction == "downgrade" and revision == "base"):
            faults.append(f"revision {revision!r}; allowed: {', '.join(known)}, and base for downgrade")
    except CommandError as fault:
        faults.append(str(fault))
    if faults:
        raise SystemExit("; ".join(faults))
    return request, databases


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    script = ScriptDirectory.from_config(Config(os.path.join(here, "alembic.ini")))
    request, databases = parse(sys.stdin.read(), script)
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    printing = threading.Lock()

    def one(name, text_url):
        began = time.monotonic()
        try:
            url = database_url(text_url)
        except Exception:
            # The parser's message quotes the URL.
            outcome = {"status": "failed", "reason": "url is not a PostgreSQL URL: postgresql://user:password@host:port/name"}
        else:
            outcome = migrate(
                script,
                request["direction"],
                request["revision"],
                url,
                request.get("lockTimeoutMs", 250),
                request.get("attempts", 40),
            )
        line = json.dumps({"database": name, **outcome, "seconds": round(time.monotonic() - began, 3)})
        with printing:
            print(line, flush=True)

    with ThreadPoolExecutor(max_workers=max(1, min(32, request.get("concurrency", 4)))) as pool:
        for finished in [pool.submit(one, *entry) for entry in databases]:
            finished.result()


if __name__ == "__main__":
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            sys.exit(2)
        raise
