"""Which days are due, and seals as bytes: what is no seal is refused, whatever it is."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider_collector.evidence import (
    Seal,
    SealError,
    Tree,
    as_ranges,
    canonical,
    decode_seal,
    encode_seal,
    name_of_day,
    number_of_day,
)
from outrider_collector.evidence.sealing import Due, SoFar, due

SEAL = Seal(
    number=2,
    previous="ab" * 32,
    since="2026-06-14",
    day="2026-06-15",
    revision=1,
    gap=None,
    columns=("agent", "epoch", "seq"),
    records=Tree(count=4, root="cd" * 32),
    ranges=(("east-1", "e1", 1, 3), ("west-1", "é\n", 7, 7)),
    after=0,
    ledger=9,
    as_of=1_781_000_000_000_000,
    windows=Tree(count=0, root="ef" * 32),
    statements=Tree(count=0, root="ef" * 32),
    partial=False,
    software="outrider 0",
    key="01" * 32,
)


@pytest.mark.parametrize(
    ("case", "sealed", "latest", "last", "wanted"),
    [
        ("nothing is old enough", {}, {10: 3}, 9, []),
        ("the first day", {}, {10: 3}, 10, [Due(10)]),
        ("a day that is sealed and has nothing new", {10: SoFar(1, 3)}, {10: 3}, 10, []),
        ("late results", {10: SoFar(1, 3)}, {10: 4}, 10, [Due(10, 2, 3)]),
        ("later still", {10: SoFar(2, 4)}, {10: 9}, 10, [Due(10, 3, 4)]),
        ("days without records have seals too", {10: SoFar(1, 3)}, {10: 3, 13: 5}, 13, [Due(11), Due(12), Due(13)]),
        ("new days come before addenda", {10: SoFar(1, 3)}, {10: 5, 11: 4}, 11, [Due(11), Due(10, 2, 3)]),
        ("a record from before the chain", {10: SoFar(1, 3)}, {4: 5, 10: 3}, 10, [Due(4)]),
        ("a record from the future waits", {10: SoFar(1, 3)}, {10: 3, 400: 4}, 10, []),
        ("a partial day that is over", {10: SoFar(1, 3, True, 7)}, {10: 3}, 10, [Due(10, 2, 3, False, True, 7)]),
        ("a partial day that is not over", {10: SoFar(1, 3, True, 7)}, {10: 5}, 9, []),
        ("a seal that was lost is made again", {10: SoFar(1, 3), 12: SoFar(1, 3)}, {}, 12, [Due(11)]),
    ],
)
def test_what_is_due(case: str, sealed: dict[int, SoFar], latest: dict[int, int], last: int, wanted: list[Due]) -> None:
    assert due(sealed, latest, 10, last) == wanted, case


@pytest.mark.parametrize(
    ("case", "sealed", "latest", "wanted"),
    [
        ("nothing sealed yet", {}, {12: 3}, [Due(10), Due(11), Due(12, is_partial=True)]),
        ("sealed early, nothing new", {10: SoFar(1, 1), 11: SoFar(1, 1), 12: SoFar(1, 3, True, 7)}, {12: 3}, []),
        (
            "sealed early, something new",
            {10: SoFar(1, 1), 11: SoFar(1, 1), 12: SoFar(1, 3, True, 7)},
            {12: 4},
            [Due(12, 2, 3, is_partial=True, before=7)],
        ),
    ],
)
def test_what_is_due_when_today_is_asked_for(
    case: str, sealed: dict[int, SoFar], latest: dict[int, int], wanted: list[Due]
) -> None:
    assert due(sealed, latest, 10, 11, today=12) == wanted, case


def test_a_seal_reads_back_and_its_bytes_are_canonical() -> None:
    raw = encode_seal(SEAL)
    assert decode_seal(raw) == SEAL
    assert raw.startswith(b'{"after":0,"as_of":1781000000000000,"columns":["agent","epoch","seq"],"day":"2026-06-15",')
    assert '"é\\n"'.encode() in raw
    assert SEAL.name == "000002-2026-06-15-r1"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "outrider-evidence/9"}, "its format is 'outrider-evidence/9'"),
        ({"day": "2026-13-01"}, "2026-13-01"),
        ({"day": "../../etc"}, "not a day like 2026-06-15"),
        ({"since": "yesterday"}, "not a day"),
        ({"ranges": []}, "do not add up"),
        ({"ranges": [["a", "e", 4, 1]], "records": {"count": -2, "root": ""}}, "do not add up"),
        ({"number": "2"}, "Expected `int`"),
        ({"surplus": 1}, "unknown field"),
        ({"format": "outrider-evidence/1"}, "not the fields of its format"),
    ],
)
def test_what_no_sealer_writes_is_no_seal(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SealError, match=words):
        decode_seal(msgspec.json.encode(msgspec.to_builtins(SEAL) | change))


def test_a_seal_of_the_older_format_reads_back_as_it_was() -> None:
    plain = msgspec.to_builtins(SEAL) | {"format": "outrider-evidence/1"}
    raw = canonical({name: value for name, value in plain.items() if name not in ("statements", "partial")})
    assert encode_seal(decode_seal(raw)) == raw
    assert not decode_seal(raw).is_partial


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.integers(0, 600).map(lambda at: encode_seal(SEAL)[:at]))
def test_bytes_of_any_kind_are_a_seal_or_refused(raw: bytes) -> None:
    with contextlib.suppress(SealError):
        assert decode_seal(raw) == SEAL


@settings(max_examples=200, deadline=None)
@given(st.sets(st.tuples(st.sampled_from("ab"), st.sampled_from("ef"), st.integers(1, 30))))
def test_ranges_name_each_record_once_and_in_order(records: set[tuple[str, str, int]]) -> None:
    ranges = as_ranges(sorted(records))
    expanded = [(agent, epoch, seq) for agent, epoch, first, last in ranges for seq in range(first, last + 1)]
    assert expanded == sorted(records)
    assert len(set(ranges)) == len(ranges)


def test_days_have_numbers_and_names() -> None:
    assert number_of_day("1970-01-02") == 1
    assert name_of_day(number_of_day("2028-02-29")) == "2028-02-29"
