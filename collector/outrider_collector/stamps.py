"""The collector's signature under "recorded then": made for each record, kept by its agent, checked when it returns.

HMAC-SHA-256 (RFC 2104), cut to 128 bits, under a key of its own: nobody but this collector has to check it, so no
public key is needed; it costs a microsecond for each record and 32 characters in the answer, where Ed25519 would cost a
hundred times that. It binds agent, epoch, seq and digest to the instant, so no stamp can be moved to another record.
The key is a file beside the store, readable by its owner alone; it belongs into the store's backup.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from outrider.core.units import Instant
from outrider.core.wire import Entry
from outrider_collector.store import StoreFailedError

_KEY_BYTES = 32
_SIGNATURE_BYTES = 16


class Stamper:
    """Signs and checks stamps. Without a file the key lasts as long as the object."""

    def __init__(self, path: Path | None = None) -> None:
        self._key = _key(path) if path is not None else secrets.token_bytes(_KEY_BYTES)

    def signature(self, agent: str, epoch: str, entry: Entry, recorded_at: Instant) -> str:
        said = f"outrider stamp\n{agent}\n{epoch}\n{entry.seq}\n{entry.digest}\n{recorded_at}\n".encode()
        return hmac.new(self._key, said, hashlib.sha256).digest()[:_SIGNATURE_BYTES].hex()

    def is_ours(self, agent: str, epoch: str, entry: Entry, recorded_at: Instant, signature: str) -> bool:
        expected = self.signature(agent, epoch, entry, recorded_at)
        return hmac.compare_digest(expected.encode(), signature.encode())


def _key(path: Path) -> bytes:
    """The key in a file, made with mode 0600 where there is none. Raises StoreFailedError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise StoreFailedError(
                f"{path}: others may read this key; chmod 600 it, or remove it to begin with a new one"
            )
        key = path.read_bytes()
    except OSError as error:
        raise StoreFailedError(f"{path}: {error.strerror or error}") from None
    if len(key) != _KEY_BYTES:
        raise StoreFailedError(
            f"{path}: this is no key of {_KEY_BYTES} bytes; restore it, or remove it to begin with a new one"
        )
    return key


def _make(path: Path) -> None:
    """Whole or not at all."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink(missing_ok=True)
