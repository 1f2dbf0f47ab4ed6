"""Check sets as they travel and lie: a text in YAML, its version, and who signed both.

Rules
-----
1. What is signed is SIGNED_AS, the version in a line of its own, an empty line, and the text's bytes as they were
   written. Nothing is rearranged: the bytes that were signed are the ones that are read.
2. The signature is Ed25519 (RFC 8032), in hex. Which key made it is a hint; who is to be believed is for the reader.
3. An envelope is JSON of at most MOST_BYTES, and has no other keys. A text is at most MOST_TEXT bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Annotated, Any

import msgspec

SIGNED_AS = b"outrider check set, format 1\n"
MOST_BYTES = 1 << 20
MOST_TEXT = 256 << 10
HIGHEST_VERSION = 2**53 - 1
"""Every reader of JSON can hold it."""

LONGEST_DETAIL = 500

Version = Annotated[int, msgspec.Meta(ge=1, le=HIGHEST_VERSION)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class CheckSetError(ValueError):
    """What was sent is no check set, or no report about one; the message says why."""


class SignedSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A check set. `key` is the public key in hex, 32 bytes; `signature` is 64."""

    version: Version
    text: str
    key: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}\\Z")]
    signature: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{128}\\Z")]

    @property
    def digest(self) -> str:
        """What tells a set from every other, signature and all: SHA-256 in hex."""
        return sha256(encode(self)).hexdigest()


class Taken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an agent says of the sets that it was offered: the version in force (0: none), and the one that it refused
    last, with a reason of `outrider.check_sets.REASONS` and words for people, while there is one."""

    agent: Name
    region: Name
    version: Annotated[int, msgspec.Meta(ge=0, le=HIGHEST_VERSION)]
    refused: Annotated[int, msgspec.Meta(ge=0, le=HIGHEST_VERSION)] = 0
    reason: Annotated[str, msgspec.Meta(max_length=40)] = ""
    detail: Annotated[str, msgspec.Meta(max_length=LONGEST_DETAIL)] = ""


class Audience(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a set is for: an agent whose name and region each match a pattern ("us-*")."""

    agents: tuple[str, ...] = ("*",)
    regions: tuple[str, ...] = ("*",)

    def has(self, agent: str, region: str) -> bool:
        return _is_one(agent, self.agents) and _is_one(region, self.regions)


def _is_one(name: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def signed_bytes(version: int, text: str) -> bytes:
    """What a signature is made over (rule 1)."""
    return SIGNED_AS + b"version %d\n\n" % version + text.encode()


def sign(version: int, text: str, key: str, sign_bytes: Callable[[bytes], bytes]) -> SignedSet:
    """A set, signed by whoever has the key. Raises CheckSetError where it is too large."""
    made = SignedSet(version=version, text=text, key=key, signature=sign_bytes(signed_bytes(version, text)).hex())
    return decode(encode(made))


def is_signed(signed: SignedSet) -> bool:
    """Whether the signature is that of the key it names. Needs cryptography."""
    from outrider.codecs import ed25519_keys

    try:
        key = ed25519_keys.from_hex(signed.key)
    except ValueError:  # 32 bytes that are no point of the curve
        return False
    return ed25519_keys.is_signed(key, bytes.fromhex(signed.signature), signed_bytes(signed.version, signed.text))


def encode(signed: SignedSet) -> bytes:
    return msgspec.json.encode(signed)


def decode(raw: bytes) -> SignedSet:
    """Read an envelope (rule 3). Raises CheckSetError and nothing else."""
    if len(raw) > MOST_BYTES:
        raise CheckSetError(f"a check set is at most {MOST_BYTES} bytes")
    signed: SignedSet = _decoded(raw, SignedSet, "check set")
    if len(signed.text) > MOST_TEXT or len(signed.text.encode()) > MOST_TEXT:
        raise CheckSetError(f"the text of a check set is at most {MOST_TEXT} bytes")
    return signed


def decode_taken(raw: bytes) -> Taken:
    """Read an agent's report. Raises CheckSetError and nothing else."""
    taken: Taken = _decoded(raw, Taken, "report about a check set")
    return taken


def _decoded(raw: bytes, kind: Any, what: str) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise CheckSetError(f"this is no {what}: {error}") from None
