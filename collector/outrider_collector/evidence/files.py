"""Files that are there whole or not at all: written beside, synced, then renamed, and the folder synced after."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one go. Raises OSError; then the name is as it was."""
    make_whole(path, lambda beside: _write(beside, content))


def make_whole(path: Path, make: Callable[[Path], None]) -> None:
    """Have `make` write a file at another name, sync it, rename it. Raises what `make` raises, and OSError."""
    beside = path.with_name(f".{path.name}.part")
    try:
        make(beside)
        _sync(beside)
        beside.replace(path)
        _sync(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
