"""Ed25519 keys (RFC 8032) in files: a private one is made at its first use, readable by its owner alone, never shown.

The private key is PKCS #8 in PEM, the public one SubjectPublicKeyInfo in PEM, so that OpenSSL reads both.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

_MOST_BYTES = 10_000


class KeyFileError(ValueError):
    """A key that cannot be used; the message names the file, and repeats nothing of it."""


def private_key(path: Path) -> Ed25519PrivateKey:
    """The key in a file, which is made with mode 0600 where there is none. Raises KeyFileError."""
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path}: others may read this key; chmod 600 it, or use a new one")
        key = load_pem_private_key(_bytes(path), password=None)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from None
    except KeyFileError:
        raise
    except Exception:  # the parser has several kinds, and its words could quote the key
        raise KeyFileError(f"{path}: this is no private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: this key is of another kind than Ed25519")
    return key


def _make(path: Path) -> None:
    """Whole or not at all; of two that make one at once, the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """The public half, for the other party."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_key(path: Path) -> Ed25519PublicKey:
    """The public key in a PEM file. Raises KeyFileError."""
    try:
        key = load_pem_public_key(_bytes(path))
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from None
    except Exception:  # the parser has several kinds
        raise KeyFileError(f"{path}: this is no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{path}: this key is of another kind than Ed25519")
    return key


def key_hex(key: Ed25519PublicKey) -> str:
    """A public key's 32 bytes in hex, as what is signed names its signer."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def from_hex(text: str) -> Ed25519PublicKey:
    """The key of `key_hex`. Raises ValueError."""
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))


def is_signed(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)
