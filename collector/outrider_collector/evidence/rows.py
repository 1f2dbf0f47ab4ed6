"""The rows of a sealed day: their columns, their Parquet file, and the bytes of each one that are hashed.

A row's bytes are the JSON array of its values in the order of COLUMNS: whole numbers, texts and null, no white space,
UTF-8. So anybody can make them from the Parquet file, with any tool.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import duckdb

from outrider.core.merkle import leaf_hash

_TEXT, _WHOLE = "VARCHAR", "BIGINT"
COLUMN_TYPES = {
    "agent": _TEXT, "epoch": _TEXT, "seq": _WHOLE, "digest": _TEXT, "position": _WHOLE, "recorded_at": _WHOLE,
    "ts": _WHOLE, "scheduled_at": _WHOLE, "interval": _WHOLE, "region": _TEXT, "check_id": _TEXT, "scenario": _TEXT,
    "purpose": _TEXT, "outcome": _TEXT, "code": _TEXT, "place": _TEXT, "step": _TEXT, "detail": _TEXT,
    "cleanup": _TEXT, "latency": _WHOLE, "resolve": _WHOLE, "connect": _WHOLE, "tls": _WHOLE, "send": _WHOLE,
    "wait": _WHOLE, "receive": _WHOLE, "http_status": _WHOLE, "clock_offset": _WHOLE, "clock_error": _WHOLE,
    "steps": _TEXT,
}  # fmt: skip
COLUMNS = tuple(COLUMN_TYPES)
_AT_ONCE = 5_000


class RowsError(ValueError):
    """A Parquet file whose rows cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """Which record, and the hash of its row."""

    agent: str
    epoch: str
    seq: int
    leaf: bytes

    @property
    def identity(self) -> tuple[str, str, int]:
        return self.agent, self.epoch, self.seq


def read_rows(path: Path) -> Iterator[Row]:
    """A Parquet file's rows in the order of the leaves, whatever their order in the file. Raises RowsError."""
    if not path.is_file():
        raise RowsError("there is no such file, or no regular one")
    with duckdb.connect() as database:
        try:
            database.execute("SET autoinstall_known_extensions = false")
            at = {"path": escape(str(path))}
            described = database.execute("DESCRIBE SELECT * FROM read_parquet($path)", at).fetchall()
            if {str(name): str(kind) for name, kind, *_ in described} != COLUMN_TYPES:
                raise RowsError("its columns are not those of sealed records")
            names = ", ".join(f'"{name}"' for name in COLUMNS)
            found = database.execute(f"SELECT {names} FROM read_parquet($path) ORDER BY agent, epoch, seq", at)
            while some := found.fetchmany(_AT_ONCE):
                for row in some:
                    yield Row(str(row[0]), str(row[1]), int(row[2] or 0), leaf_hash(_bytes(row)))
        except duckdb.Error as error:
            raise RowsError(str(error).partition("\n")[0]) from None


def _bytes(row: tuple[object, ...]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()
