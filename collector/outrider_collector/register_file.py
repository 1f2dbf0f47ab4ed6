"""The file of a register: SQLite beside the store, synced at each change; one transaction for what belongs together.

What a register keeps, and that none of it is changed or removed, stands in the schema of each.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from outrider_collector.store import StoreFailedError


def open_register(
    path: Path, schema: str, migrate: Callable[[sqlite3.Connection], None] = lambda _: None
) -> sqlite3.Connection:
    """The file with its tables, made where it is not there; `migrate` brings an older one up to date. For several
    threads that take turns. Raises StoreFailedError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except (sqlite3.Error, OSError) as error:
        raise StoreFailedError(f"cannot open {path}: {error}") from error
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(schema)
        migrate(database)
    except sqlite3.Error as error:
        database.close()
        raise StoreFailedError(f"cannot open {path}: {error}") from error
    return database


@contextmanager
def one_transaction(database: sqlite3.Connection, ask: Callable[[str], object]) -> Iterator[None]:
    """All that is done meanwhile stays, or none of it. `ask` runs a statement, and raises as its register does."""
    ask("BEGIN IMMEDIATE")
    try:
        yield
        ask("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # what went wrong first is what is told
            if database.in_transaction:
                database.execute("ROLLBACK")
        raise
