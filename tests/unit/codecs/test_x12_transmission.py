"""Several interchanges in one transmission, and several groups in one interchange: written, read, and refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from x12_support import CREATED, oracle_errors

from outrider.codecs import x12
from outrider.codecs.x12 import Draft, DraftGroup, Separators, X12Error


def interchange(number: int, separators: Separators = x12.DEFAULT_SEPARATORS) -> bytes:
    return x12.write(
        [Draft("999", (("AK1", "HC", str(number)), ("AK9", "A", "1", "1", "1")))],
        sender="CLEARING",
        receiver="OUTRIDER",
        control_number=number,
        created=CREATED,
        functional_id="FA",
        version="005010X231A1",
        separators=separators,
    )


def groups(*numbers: int | None, **changes: Any) -> bytes:
    made = [DraftGroup("FA", "005010X231A1", (Draft("999", (("AK1", "HC", "1"),)),), number) for number in numbers]
    return x12.write_groups(
        made, **{"sender": "A", "receiver": "B", "control_number": 7, "created": CREATED, **changes}
    )


def numbers(raw: bytes, **limits: int) -> list[str]:
    return [each.control_number for each in x12.read_transmission(raw, **limits)]


def failure(raw: bytes, **limits: int) -> X12Error:
    with pytest.raises(X12Error) as caught:
        x12.read_transmission(raw, **limits)
    return caught.value


def test_one_interchange_is_a_transmission() -> None:
    raw = interchange(1)
    assert x12.read_transmission(raw) == (x12.read(raw),)


@pytest.mark.parametrize("between", [b"", b"\n", b"\r\n \t"])
def test_interchanges_follow_one_another_each_with_its_own_separators(between: bytes) -> None:
    others = Separators("|", "!", ">", "\x1d")
    raw = b"\xef\xbb\xbf" + interchange(1) + between + interchange(2, others) + between + interchange(3) + between
    assert numbers(raw) == ["000000001", "000000002", "000000003"]
    assert [each.separators for each in x12.read_transmission(raw)] == [
        x12.DEFAULT_SEPARATORS,
        others,
        x12.DEFAULT_SEPARATORS,
    ]


def test_offsets_are_those_of_the_whole_and_segments_count_anew() -> None:
    first = interchange(1) + b"\r\n"
    raw = first + interchange(2)
    _, second = x12.read_transmission(raw)
    opening = second.transactions[0].segments[0]
    assert (opening.number, opening.offset) == (3, raw.index(b"ST*", len(first)))
    damaged = failure(raw.replace(b"SE*4*", b"SE*5*").replace(b"SE*5*", b"SE*4*", 1))
    assert (damaged.code, damaged.segment) == ("se01-count", 6)
    assert damaged.offset == raw.index(b"SE*", len(first))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "empty"),
        (interchange(1) + b"trailer", "after-iea"),
        (interchange(1) + interchange(2) + b"<html>", "after-iea"),
        (interchange(1) + b"\x00" + interchange(2), "after-iea"),
        (interchange(1) + b"\xef\xbb\xbf" + interchange(2), "after-iea"),
        (b"".join(map(interchange, (1, 2, 3, 4))), "after-iea"),
        (interchange(1) + interchange(1), "isa13-repeated"),
        (interchange(1) + interchange(2)[:-1], "truncated"),
        (interchange(1) + interchange(2)[:50], "truncated"),
        (interchange(1) + interchange(2)[:3], "truncated"),
        (interchange(1)[:-1] + interchange(2), "element-count"),
        (interchange(1).partition(b"IEA")[0] + interchange(2), "misplaced"),
    ],
)
def test_what_is_no_row_of_whole_interchanges_is_refused(raw: bytes, code: str) -> None:
    assert failure(raw).code == code


def test_size_and_number_are_bounded() -> None:
    raw = interchange(1) + interchange(2)
    assert failure(raw, most=1).code == "after-iea"
    assert failure(raw, max_bytes=len(raw) - 1).code == "too-large"
    assert len(numbers(raw, max_bytes=len(raw))) == 2


def test_read_takes_one_interchange_alone() -> None:
    with pytest.raises(X12Error) as caught:
        x12.read(interchange(1) + interchange(2))
    assert caught.value.code == "after-iea"


def test_groups_have_control_numbers_of_their_own() -> None:
    raw = groups(11, None)
    assert [group.control_number for group in x12.read(raw).groups] == ["11", "7"]
    assert oracle_errors(raw) == []


def test_groups_without_control_numbers_of_their_own_are_not_readable() -> None:
    with pytest.raises(X12Error) as caught:
        x12.read(groups(None, None))
    assert caught.value.code == "gs06-repeated"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([interchange(1), interchange(2), b"ISA", b"~", b"\r\n", b" ", b"\x00"]), max_size=8),
    st.binary(max_size=6),
    st.data(),
)
def test_whatever_comes_is_read_or_refused(pieces: list[bytes], extra: bytes, data: st.DataObject) -> None:
    raw = b"".join(pieces)
    at = data.draw(st.integers(0, len(raw)))
    raw = raw[:at] + extra + raw[at + data.draw(st.integers(0, 6)) :]
    try:
        found, offset = x12.read_transmission(raw), 0
    except X12Error as error:
        found, offset = (), error.offset
    assert len(found) <= 3
    assert 0 <= offset <= len(raw)
