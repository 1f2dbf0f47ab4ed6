"""The collector's Ed25519 key (RFC 8032): made at its first use, readable by its owner alone, never shown."""

from __future__ import annotations

from outrider.codecs.ed25519_keys import KeyFileError, is_signed, key_hex, private_key, public_key, public_pem

__all__ = ["KeyFileError", "is_signed", "key_hex", "private_key", "public_key", "public_pem"]
