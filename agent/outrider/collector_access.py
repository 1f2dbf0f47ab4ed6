"""How an agent or a command proves who it is to a collector, and knows the collector: a token, and TLS.

The files are read again when they change, so that another credential or certificate needs no restart.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST_TOKEN = 200
_KINDS = ("ora_", "ore_", "orp_")
"""What our tokens begin with."""


class AccessFileError(Exception):
    """A file that should prove something cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class AccessFiles:
    """Where the proofs are. `token` may be missing: an agent that is not enrolled yet sends without."""

    token: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class CollectorAccess:
    """Headers and TLS for requests to one collector. Its methods read files, and raise AccessFileError."""

    def __init__(self, files: AccessFiles = AccessFiles(), token: str = "") -> None:
        """`token` is for who has one in hand; else it comes from its file."""
        self._files = files
        self._token = token
        self._seen: Any = None
        self._tls: ssl.SSLContext | None = None
        self._seen_tls: Any = None
        self._lock = threading.Lock()

    def headers(self) -> dict[str, str]:
        """The Authorization header, where there is a token."""
        with self._lock:
            path = self._files.token
            if path is not None and (seen := _stamp(path)) != self._seen:
                self._token, self._seen = read_token(path) if seen else "", seen
            return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def tls(self) -> ssl.SSLContext:
        """What to connect by: the system's authorities or our own, and a certificate where one is configured."""
        with self._lock:
            files = self._files
            seen = tuple(_stamp(path) for path in (files.ca, files.certificate, files.key) if path is not None)
            if self._tls is None or seen != self._seen_tls:
                self._tls, self._seen_tls = _context(files), seen
            return self._tls


def _context(files: AccessFiles) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=files.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if files.certificate is not None:
            context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        named = ", ".join(str(path) for path in (files.ca, files.certificate, files.key) if path is not None)
        raise AccessFileError(f"{named}: {error}") from None
    return context


def _no_password() -> str:
    """OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted; give it without a password, readable by its user alone")


def read_token(path: Path) -> str:
    """A token that is alone in its file. Raises AccessFileError."""
    try:
        with path.open("rb") as file:
            raw = file.read(LONGEST_TOKEN + 2)
        return checked_token(raw.decode("ascii"))
    except OSError as error:
        if path.name.startswith(_KINDS):
            raise AccessFileError("a token is no argument, others on this machine see it: put it in a file") from None
        raise AccessFileError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise AccessFileError(f"{path} holds no token: one line of letters, digits, - and _") from None


def checked_token(text: str) -> str:
    """A token as it was pasted. Raises ValueError, which does not quote it."""
    token = text.strip()
    if not token or len(token) > LONGEST_TOKEN or not token.replace("-", "").replace("_", "").isalnum():
        raise ValueError("that is no token")
    return token


def write_token(path: Path, token: str) -> None:
    """Put a token in its file, whole or not at all, for its user alone. Raises AccessFileError."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{token}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise AccessFileError(f"{path} cannot be written: {error.strerror}") from None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
