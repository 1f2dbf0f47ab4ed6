"""Records and batches as bytes: what was written is read again, and nothing else is taken for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs.records import (
    MOST_COUNTS,
    MOST_ENTRIES,
    BatchError,
    decode_answer,
    decode_batch,
    decode_record,
    decode_refusal,
    encode_answer,
    encode_batch,
    encode_record,
)
from outrider.core.wire import WIRE_VERSION, Batch, BatchAnswer, Entry, Phases, Refusal, RunRecord, StepRecord, digest

RECORD = RunRecord(
    check="eligibility",
    scenario="eligibility",
    region="us-east",
    purpose="probe",
    scheduled_at=1_780_000_000_000_000,
    started_at=1_780_000_000_000_321,
    interval=60_000_000,
    latency=412_345,
    outcome="service_down",
    fault="service",
    code="42",
    place="aaa/2000A",
    step="inquiry",
    detail="Unable to respond \u2013 \u201ctry later\u201d",
    status=200,
    cleanup="confirmed",
    clock_offset=-1500,
    clock_error=250,
    phases=Phases(1, 2, 3, 4, 5, 6),
    steps=(StepRecord("inquiry", "service_down", "42", "aaa/2000A", 412_345, Phases(1, 2, 3, 4, 5, 6), 200),),
)
DEEP = b"[" * 100_000 + b"]" * 100_000

texts = st.text(st.characters(codec="utf-8"), max_size=20)
names = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=20)
short = st.text(st.characters(categories=("L", "N", "P")), max_size=20)
numbers = st.integers(0, 2**53 - 1)
phases = st.builds(Phases, numbers, numbers, numbers, numbers, numbers, numbers)
steps = st.builds(StepRecord, texts, texts, texts, texts, numbers, phases, numbers)
records = st.builds(
    RunRecord,
    check=texts,
    scenario=texts,
    region=texts,
    purpose=texts,
    scheduled_at=numbers,
    started_at=numbers,
    interval=numbers,
    latency=numbers,
    outcome=texts,
    fault=texts,
    code=texts,
    place=texts,
    step=texts,
    detail=texts,
    status=numbers,
    cleanup=texts,
    clock_offset=st.none() | st.integers(-(2**53), 2**53),
    clock_error=st.none() | numbers,
    phases=phases,
    steps=st.lists(steps, max_size=3).map(tuple),
)


def entry(seq: int, body: bytes = b'{"a":1}') -> Entry:
    return Entry(seq, digest("a", "e", seq, body), body)


def batch(*entries: Entry, **more: Any) -> Batch:
    return Batch("a", "r", "e", entries, **more)


def wire(**changes: Any) -> bytes:
    """A batch as JSON with some of its keys set otherwise."""
    return json.dumps({**json.loads(encode_batch(batch(entry(1)))), **changes}).encode()


# --- round trips -----------------------------------------------------------------------------------------------------


@given(records)
@settings(max_examples=100, deadline=None)
def test_a_record_is_read_as_it_was_written(record: RunRecord) -> None:
    assert decode_record(encode_record(record)) == record


@given(
    st.builds(
        Batch,
        agent=names,
        region=names,
        epoch=names,
        entries=st.dictionaries(st.integers(1, 2**53 - 1), records, max_size=4).map(
            lambda found: tuple(Entry(seq, "d", encode_record(found[seq])) for seq in sorted(found))
        ),
        counts=st.dictionaries(short, numbers, max_size=5),
        software=short,
    )
)
@settings(max_examples=60, deadline=None)
def test_a_batch_is_read_as_it_was_written_and_its_records_stay_the_same_bytes(made: Batch) -> None:
    assert decode_batch(encode_batch(made)) == made


def test_an_answer_is_read_as_it_was_written() -> None:
    answer = BatchAnswer(9, 3, 1, 100, 200, 150, ((1, 2), (5, 5)))
    assert decode_answer(encode_answer(answer)) == answer
    assert decode_refusal(encode_answer(Refusal("no", 7))) == Refusal("no", 7)


def test_a_record_can_be_read_by_people() -> None:
    shown = json.loads(encode_record(RECORD))
    assert (shown["outcome"], shown["latency"], shown["phases"]["tls"]) == ("service_down", 412_345, 3)


# --- neighbouring versions -------------------------------------------------------------------------------------------


def test_fields_that_a_newer_version_adds_are_ignored() -> None:
    newer = json.loads(encode_record(RECORD))
    newer |= {"shard": 3, "nested": {"deep": [1, 2]}}
    newer["phases"]["queue"] = 17
    newer["steps"][0]["attempt"] = 2
    assert decode_record(json.dumps(newer).encode()) == RECORD
    made = decode_batch(wire(version=WIRE_VERSION + 1, window="w", entries=[[1, "d", {"a": 1}, "more"]]))
    assert (made.version, made.entries) == (WIRE_VERSION + 1, (Entry(1, "d", b'{"a": 1}'),))
    answer = json.loads(encode_answer(BatchAnswer(1, 1, 0, 1, 2, 2)))
    assert decode_answer(json.dumps({**answer, "signature": "x"}).encode()).high_water == 1


def test_fields_that_an_older_version_did_not_have_take_their_defaults() -> None:
    later = ("code", "place", "step", "detail", "status", "cleanup", "clock_offset", "clock_error", "phases", "steps")
    older = {name: value for name, value in json.loads(encode_record(RECORD)).items() if name not in later}
    read = decode_record(json.dumps(older).encode())
    assert (read.steps, read.phases, read.clock_offset, read.cleanup) == ((), Phases(), None, "none")
    assert decode_batch(b'{"version":1,"agent":"a","region":"r","epoch":"e","entries":[]}').counts == {}


@pytest.mark.parametrize("version", [0, -1, WIRE_VERSION + 2, 10**30])
def test_a_version_from_further_away_is_refused_by_number(version: int) -> None:
    with pytest.raises(BatchError, match=f"wire version {version}; this side reads 1 to {WIRE_VERSION + 1}"):
        decode_batch(wire(version=version))


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entries": [[2, "d", {}], [1, "d", {}]]}, "ascending order of seq, from 1"),
        ({"entries": [[1, "d", {}], [1, "d", {}]]}, "ascending order of seq, from 1"),
        ({"entries": [[0, "d", {}]]}, "ascending order of seq, from 1"),
        ({"entries": [[-1, "d", {}], [1, "d", {}]]}, "ascending order of seq, from 1"),
        ({"entries": [[2**53, "d", {}]]}, "numbered up to 9007199254740991"),
        ({"entries": [[n, "d", {}] for n in range(1, MOST_ENTRIES + 2)]}, f"has {MOST_ENTRIES + 1} records"),
        ({"counts": {f"c{n}": 1 for n in range(MOST_COUNTS + 1)}}, f"at most {MOST_COUNTS} counts"),
        ({"counts": {"scheduled": 10**400}}, "none beyond 9007199254740991"),
        ({"counts": {"scheduled": -(10**30)}}, "none beyond 9007199254740991"),
        ({"agent": ""}, "must name its agent, region and epoch"),
        ({"region": ""}, "must name its agent, region and epoch"),
        ({"epoch": ""}, "must name its agent, region and epoch"),
        ({"agent": "a" * 299}, "in 300 printable characters together"),
        ({"agent": "a\nb"}, "in 300 printable characters together"),
        ({"region": "\x1b[2J"}, "in 300 printable characters together"),
        ({"epoch": "e\x00"}, "in 300 printable characters together"),
        ({"agent": 7}, "cannot be read: Expected `str`"),
        ({"entries": [["1", "d", {}]]}, "cannot be read: Expected `int`"),
        ({"entries": [[1, "d"]]}, "cannot be read"),
        ({"counts": {"scheduled": 1.5}}, "cannot be read: Expected `int`"),
    ],
)
def test_a_batch_that_breaks_a_rule_is_refused_and_told_which(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BatchError, match=message):
        decode_batch(wire(**changes))


def test_a_batch_may_be_as_large_as_the_limits_say() -> None:
    entries = [[n, "d", {}] for n in range(2**53 - MOST_ENTRIES, 2**53)]
    made = decode_batch(wire(entries=entries, counts={f"c{n}": -(2**53) + 1 for n in range(MOST_COUNTS)}))
    assert (len(made.entries), made.entries[-1].seq) == (MOST_ENTRIES, 2**53 - 1)
    assert decode_batch(wire(entries=[])).entries == ()


@pytest.mark.parametrize(
    "raw",
    [
        encode_record(RECORD)[:-1] + b',"later":' + DEEP + b"}",
        DEEP,
        b'{"check":"\xff"}',
        b'{"check":"\\ud800"}',
        b"",
        b"null",
        b"{}",
        encode_record(RECORD).replace(b"412345", b"4.5"),
        encode_record(RECORD).replace(b"412345", b"1e999"),
    ],
    ids=["deep field", "deep", "not UTF-8", "half a surrogate", "empty", "null", "no fields", "float", "infinite"],
)
def test_a_record_that_cannot_be_read_is_a_batch_error_and_nothing_else(raw: bytes) -> None:
    with pytest.raises(BatchError, match="the record cannot be read"):
        decode_record(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"later":' + DEEP + b"," + encode_batch(batch())[1:],
        encode_batch(batch()).replace(b'"entries":[]', b'"entries":[[1,"d",' + DEEP + b"]]"),
        encode_batch(batch())[:-1],
        b"\xff\xfe",
    ],
    ids=["deep field", "deep record", "cut off", "not JSON"],
)
def test_a_batch_that_cannot_be_read_is_a_batch_error_and_nothing_else(raw: bytes) -> None:
    with pytest.raises(BatchError, match="the batch cannot be read"):
        decode_batch(raw)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode) | st.from_regex(rb'\{"[a-z]+":.{0,40}\}?'))
@settings(max_examples=200, deadline=None)
def test_garbage_raises_nothing_but_a_batch_error(raw: bytes) -> None:
    for decode in (decode_record, decode_batch, decode_answer):
        with pytest.raises(BatchError):
            decode(raw)
    assert isinstance(decode_refusal(raw), Refusal)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_batch_is_read_or_refused_and_its_records_still_carry_their_digests(data: st.DataObject) -> None:
    raw = bytearray(encode_batch(batch(entry(1, encode_record(RECORD)), entry(2, encode_record(RECORD)))))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        made = decode_batch(bytes(raw))
    except BatchError:
        return
    for each in made.entries:
        if digest(made.agent, made.epoch, each.seq, each.body) == each.digest:
            assert each.body == encode_record(RECORD), "what passes its digest is what was sent"


def test_a_refusal_that_cannot_be_read_is_shown_as_it_came_and_cut() -> None:
    assert decode_refusal(b"<html>502 Bad Gateway</html>").error == "<html>502 Bad Gateway</html>"
    assert len(decode_refusal(b"x" * 10_000).error) == 200
    assert decode_refusal(b"\xff").error == "\ufffd"
    assert decode_refusal(b'{"error":"e","more":' + DEEP + b"}").seq is None


# --- the digest ------------------------------------------------------------------------------------------------------


def test_the_digest_is_sha_256_of_identity_and_bytes_cut_to_128_bits() -> None:
    # sha256(b"east-1\n5f\n17\n{}"), worked out with sha256sum
    assert digest("east-1", "5f", 17, b"{}") == "bbba46bc0aa27bb51dd5c85358fa7de4"


@pytest.mark.parametrize(
    "other", [("east-2", "5f", 17, b"{}"), ("east-1", "5e", 17, b"{}"), ("east-1", "5f", 18, b"{}"),
              ("east-1", "5f", 17, b"{ }"), ("east-1", "5f\n17", 17, b"{}"), ("east-1\n5f", "", 17, b"{}")]
)  # fmt: skip
def test_the_digest_binds_agent_epoch_seq_and_body(other: tuple[str, str, int, bytes]) -> None:
    assert digest(*other) != digest("east-1", "5f", 17, b"{}")


def test_phases_add_up_one_by_one() -> None:
    assert Phases(1, 2, 3, 4, 5, 6) + Phases(10, 20, 30, 40, 50, 60) == Phases(11, 22, 33, 44, 55, 66)
