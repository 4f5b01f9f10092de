"""Runs the Alembic step of docs/adopt.md. stdin: {"code", "url", "direction"}."""

import json
import sys

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

request = json.load(sys.stdin)
engine = create_engine(request["url"].replace("postgresql://", "postgresql+psycopg://", 1))
with engine.begin() as connection:
    with Operations.context(MigrationContext.configure(connection)):
        step = {}
        exec(compile(request["code"], "docs/adopt.md", "exec"), step)
        step[request["direction"]]()
