"""Opens every sealed body of one tenant with stock Tink for Python: the oracle's reader, which shares no code with ours.

One JSON request on stdin: {dsn, environment, tenant, vaultAddress, vaultToken, mount, kek,
tables: [{table, key, kind}], marker?: pattern}. One line per row on stdout, in the order of tables and keys:

    <id> <sha256 of the body> <table> <marker found in the body, or ->
    <id> - <table> <why it does not open>

With --all: no lines, but one JSON object with the numbers per table. Exit 2 and a reason on stderr when the keyset or a
table cannot be read. Neither bodies nor the token are ever printed.
"""

import collections
import hashlib
import json
import re
import struct
import sys

import hvac
import psycopg
import tink
from psycopg import sql
from tink import aead
from tink.integration import hcvault

BATCH_ROWS = 2_000


def part(text):
    data = text.encode()
    return struct.pack(">I", len(data)) + data


def open_keyset(connection, request):
    """The newest keyset of class `prompt`, unwrapped by Vault: it holds every key that any row is sealed with."""
    row = connection.execute(
        "SELECT encrypted FROM rc.keyset WHERE tenant = %s AND class = 'prompt' ORDER BY version DESC LIMIT 1",
        [request["tenant"]],
    ).fetchone()
    if row is None:
        raise LookupError(f"tenant {request['tenant']} has no keyset of class prompt in rc.keyset")
    client = hvac.Client(url=request["vaultAddress"], token=request["vaultToken"])
    kek = hcvault.new_aead(f"{request['mount']}/keys/{request['kek']}", client)
    return tink.read_keyset_handle(tink.BinaryKeysetReader(bytes(row[0])), kek)


def why_closed(sealed, key_ids):
    if len(sealed) < 33 or sealed[0] != 1:
        return "not-tink"
    if struct.unpack(">I", sealed[1:5])[0] not in key_ids:
        return "unknown-key"
    return "not-authentic"


def read(request, only_counts):
    aead.register()
    marker = re.compile(request["marker"].encode()) if "marker" in request else None
    totals = {}
    with psycopg.connect(request["dsn"]) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        handle = open_keyset(connection, request)
        primitive = handle.primitive(aead.Aead)
        key_ids = {info.key_id for info in handle.keyset_info().key_info}
        for table in request["tables"]:
            context = b"".join(part(text) for text in (request["environment"], request["tenant"], table["kind"]))
            opened = 0
            closed = collections.Counter()
            query = sql.SQL("SELECT {key}::text, body FROM {table} ORDER BY {key}").format(
                key=sql.Identifier(table["key"]), table=sql.Identifier("public", table["table"])
            )
            with connection.cursor("sealed_rows") as cursor:
                cursor.itersize = BATCH_ROWS
                cursor.execute(query, binary=True)
                lines = []
                for record_id, sealed in cursor:
                    try:
                        body = primitive.decrypt(sealed, context + part(record_id))
                    except tink.TinkError:
                        reason = why_closed(sealed, key_ids)
                        closed[reason] += 1
                        lines.append(f"{record_id} - {table['table']} {reason}\n")
                    else:
                        opened += 1
                        found = marker.search(body) if marker else None
                        mark = found.group().decode() if found else "-"
                        lines.append(f"{record_id} {hashlib.sha256(body).hexdigest()} {table['table']} {mark}\n")
                    if len(lines) >= BATCH_ROWS:
                        flush(lines, only_counts)
                flush(lines, only_counts)
            totals[table["table"]] = {"opened": opened, "notOpened": sum(closed.values()), "reasons": dict(closed)}
    if only_counts:
        print(json.dumps(totals))


def flush(lines, only_counts):
    if not only_counts:
        sys.stdout.write("".join(lines))
    lines.clear()


def main():
    request = json.load(sys.stdin)
    try:
        read(request, "--all" in sys.argv[1:])
    except Exception as error:
        # The text comes from drivers that may quote their input, so what is secret is taken out.
        text = str(error).replace(request["vaultToken"], "***").replace(request["dsn"], "***").strip()
        print(f"{type(error).__name__}: {text}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
