"""Merkle roots: the hashes that Certificate Transparency publishes, and the definition of RFC 6962 read literally."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.merkle import leaf_hash, merkle_root, node_hash

ENTRIES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""The roots over the first 0, 1, ... 8 of these entries (in hex), as the test data of Certificate Transparency has
them."""


@pytest.mark.parametrize("count", range(9))
def test_a_root_is_the_published_one(count: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(entry)) for entry in ENTRIES[:count]]
    assert merkle_root(leaves).hex() == ROOTS[count]


def test_leaf_and_node_have_the_published_hashes() -> None:
    assert leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert node_hash(b"N123", b"N456").hex() == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"


def defined(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word by word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(defined(leaves[:k]), defined(leaves[k:]))


LEAVES = st.lists(st.binary(max_size=4).map(leaf_hash), max_size=70)


@settings(max_examples=200, deadline=None)
@given(LEAVES)
def test_the_root_is_that_of_the_definition(leaves: list[bytes]) -> None:
    assert merkle_root(iter(leaves)) == defined(leaves)


@settings(max_examples=200, deadline=None)
@given(LEAVES.filter(bool), st.data())
def test_no_entry_can_be_changed_dropped_added_or_moved(leaves: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(leaves) - 1))
    other = leaf_hash(b"something else")
    root = merkle_root(leaves)
    assert merkle_root([*leaves[:at], other, *leaves[at + 1 :]]) != root
    assert merkle_root([*leaves[:at], *leaves[at + 1 :]]) != root
    assert merkle_root([*leaves[:at], other, *leaves[at:]]) != root
    moved = [*leaves[at:], *leaves[:at]]
    assert moved == leaves or merkle_root(moved) != root


def test_a_node_cannot_be_passed_off_as_an_entry() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != merkle_root([left, right])
