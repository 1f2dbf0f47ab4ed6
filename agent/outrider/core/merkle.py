"""Merkle tree hashes: one hash that stands for a list, so that no entry of it can be changed, taken out or put in.

Source: RFC 6962, section 2.1 (RFC 9162 keeps it). A leaf is SHA-256(0x00 || entry), a node SHA-256(0x01 || left ||
right), and the left side of a tree of n leaves holds the largest power of two below n. The prefixes keep a node from
being passed off as an entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

HASH_BYTES = 32


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry, 32 bytes."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees, 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """The tree's hash from its leaf hashes, in order, 32 bytes; of no leaves, SHA-256 of nothing.

    Takes the leaves one by one and keeps the roots of whole subtrees alone, as many as the count has bits.
    """
    subtrees: list[bytes] = []
    for count, leaf in enumerate(leaves, start=1):
        root = leaf
        while count % 2 == 0:
            root = node_hash(subtrees.pop(), root)
            count //= 2  # noqa: PLW2901 - as many merges as the count ends with zero bits
        subtrees.append(root)
    if not subtrees:
        return hashlib.sha256().digest()
    root = subtrees.pop()
    while subtrees:
        root = node_hash(subtrees.pop(), root)
    return root
