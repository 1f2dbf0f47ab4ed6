"""Where a spool lies: one process at a time, and a file that is damaged stands aside, never deleted."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import IO

from outrider.core.units import Instant

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT)


class SpoolError(Exception):
    """The spool cannot be used; the message says why and what to do."""


def is_damage(error: Exception) -> bool:
    """Whether the file itself is unsound, rather than the place where it lies."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF in _DAMAGE or code in (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)


def locked(path: Path) -> IO[str]:
    """Hold a spool for as long as the file that is given back is open. Raises SpoolError where another one does."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(f"{path}.lock", "a+", encoding="utf-8")  # noqa: SIM115 - held open as long as the spool is
    except OSError as error:
        raise SpoolError(f"cannot make {path}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read(20).strip() or "unknown"
        file.close()
        raise SpoolError(f"{path} is in use by process {owner}; give each agent a spool of its own") from None
    with contextlib.suppress(OSError):  # a courtesy to whoever comes second; on a full disk there is none
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), str(os.getpid()).encode())
    return file


def set_file_aside(path: Path, now: Instant) -> Path:
    """Rename the file and what SQLite keeps beside it; never delete."""
    while (aside := path.with_name(f"{path.name}.set-aside-{now}")).exists():
        now += 1
    for suffix in ("", "-wal", "-shm"):
        if (own := Path(f"{path}{suffix}")).exists():
            own.rename(f"{aside}{suffix}")
    return aside
