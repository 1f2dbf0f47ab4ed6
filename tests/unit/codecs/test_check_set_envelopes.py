"""Check sets as they travel: what is signed, what is read back, and that no bytes at all raise anything else."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs.check_sets import (
    MOST_TEXT,
    Audience,
    CheckSetError,
    SignedSet,
    decode,
    decode_taken,
    encode,
    is_signed,
    sign,
    signed_bytes,
)
from outrider.codecs.ed25519_keys import key_hex

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def made(text: str = "checks: []\n", version: int = 1) -> SignedSet:
    return sign(version, text, key_hex(KEY.public_key()), KEY.sign)


def test_what_is_signed_names_its_purpose_and_the_version() -> None:
    assert signed_bytes(12, "checks: []\n") == b"outrider check set, format 1\nversion 12\n\nchecks: []\n"


def test_a_signature_is_good_for_its_version_and_text_alone() -> None:
    signed = made()
    assert is_signed(signed)
    assert not is_signed(msgspec.structs.replace(signed, version=2))
    assert not is_signed(msgspec.structs.replace(signed, text="checks: [] \n"))
    assert not is_signed(msgspec.structs.replace(signed, key="0" * 64))


def test_a_text_that_is_too_large_is_not_signed() -> None:
    assert decode(encode(made("#" * MOST_TEXT)))
    for text in ("#" * (MOST_TEXT + 1), "é" * (MOST_TEXT // 2 + 1)):
        with pytest.raises(CheckSetError, match="at most"):
            made(text)


@pytest.mark.parametrize(
    ("agents", "regions", "agent", "region", "is_in"),
    [
        (("*",), ("*",), "east-1", "us", True),
        (("east-*",), ("*",), "east-1", "us", True),
        (("east-*",), ("*",), "northeast-1", "us", False),
        (("west-1", "east-1"), ("*",), "east-1", "us", True),
        (("east-*",), ("eu",), "east-1", "us", False),
        (("EAST-*",), ("*",), "east-1", "us", False),
        ((), ("*",), "east-1", "us", False),
    ],
)
def test_whom_a_set_is_for(
    agents: tuple[str, ...], regions: tuple[str, ...], agent: str, region: str, is_in: bool
) -> None:
    assert Audience(agents=agents, regions=regions).has(agent, region) is is_in


@given(text=st.text(st.characters(exclude_categories=["Cs"])), version=st.integers(1, 2**53 - 1))
@settings(max_examples=100, deadline=None)
def test_every_text_comes_back_as_it_was_signed(text: str, version: int) -> None:
    signed = decode(encode(made(text, version)))
    assert (signed.text, signed.version) == (text, version)
    assert is_signed(signed)


def _spoilt(at: int, by: bytes) -> bytes:
    raw = encode(made())
    return raw[:at] + by + raw[at + len(by) :]


@given(raw=st.binary(max_size=300) | st.builds(_spoilt, st.integers(0, 400), st.binary()))
@settings(max_examples=200, deadline=None)
def test_no_bytes_raise_anything_but_what_they_should(raw: bytes) -> None:
    for read in (decode, decode_taken):
        with contextlib.suppress(CheckSetError):
            read(raw)
