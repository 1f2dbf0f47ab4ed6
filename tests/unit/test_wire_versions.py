"""Neighbouring versions read each other. The files in codecs/wire_v1 were written by the first version, and are frozen:
they are read as they are for as long as wire version 1 is spoken."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from outrider.codecs.records import (
    BatchError,
    decode_answer,
    decode_batch,
    decode_record,
    decode_refusal,
    encode_answer,
    encode_batch,
    encode_record,
)
from outrider.core.units import MINUTE
from outrider.core.wire import (
    WIRE_VERSION,
    Batch,
    BatchAnswer,
    Entry,
    Lost,
    Phases,
    Refusal,
    RunRecord,
    Stamp,
    StepRecord,
    digest,
)

FROZEN = Path(__file__).parent / "codecs" / "wire_v1"
AT = 1_781_524_800_000_000


def frozen(name: str) -> bytes:
    return (FROZEN / name).read_bytes()


def test_a_record_of_the_first_version_is_read_field_by_field() -> None:
    phases = Phases(1000, 2000, 3000, 400, 50_000, 600)
    assert decode_record(frozen("record-good.json")) == RunRecord(
        "eligibility", "eligibility", "us-east", "probe", AT, AT + 250, MINUTE, 412_345, "ok", "none", step="inquiry",
        status=200, clock_offset=120, clock_error=400, phases=phases,
        steps=(StepRecord("inquiry", "ok", "", "", 412_345, phases, 200),),
    )  # fmt: skip
    bad = decode_record(frozen("record-bad.json"))
    assert (bad.code, bad.place, bad.detail, bad.cleanup) == ("timeout", "http/answer", "no answer in 10 s", "pending")
    assert decode_record(frozen("record-minimal.json")) == RunRecord(
        "a", "b", "c", "probe", AT, AT, MINUTE, 0, "ok", "none"
    )


@pytest.mark.parametrize("name", ["record-good.json", "record-bad.json", "record-minimal.json"])
def test_a_record_of_the_first_version_keeps_its_digest_and_written_anew_it_says_the_same(name: str) -> None:
    raw = frozen(name)
    entries = {entry.body: entry for entry in decode_batch(frozen("batch.json")).entries}
    entry = entries[raw]
    assert entry.digest == digest("us-east-1", "0123456789abcdef", entry.seq, raw)
    before, now = json.loads(raw), json.loads(encode_record(decode_record(raw)))
    assert {name: now[name] for name in before} == before, "fields are added, never removed or changed"


def test_a_batch_of_the_first_version_is_read_and_what_came_later_is_not_in_it() -> None:
    made = decode_batch(frozen("batch.json"))
    assert (made.agent, made.region, made.epoch, made.version) == ("us-east-1", "us-east", "0123456789abcdef", 1)
    assert [entry.seq for entry in made.entries] == [7, 8, 10]
    assert made.counts["scheduled"] == 12
    assert (made.stamps, made.lost) == ((), ())


def test_an_answer_and_a_refusal_of_the_first_version_are_read() -> None:
    assert decode_answer(frozen("answer.json")) == BatchAnswer(10, 3, 0, AT, AT + 5, AT + 3, ((1, 6), (9, 9)))
    assert decode_refusal(frozen("refusal.json")) == Refusal("record 8: an instant is out of range", 8)


FIRST_FIELDS = {
    "batch.json": {"version", "agent", "region", "epoch", "entries", "counts", "software"},
    "answer.json": {"high_water", "stored", "duplicates", "received_at", "answered_at", "recorded_at", "gaps"},
    "refusal.json": {"error", "seq", "field"},
}


def written_now(name: str) -> bytes:
    """The same kinds with every later field filled."""
    body = frozen("record-good.json")
    stamp = Stamp(7, AT, "0" * 32)
    match name:
        case "batch.json":
            entry = Entry(7, digest("a", "e", 7, body), body)
            return encode_batch(
                Batch("a", "r", "e", (entry,), {"x": 1}, stamps=(stamp,), lost=(Lost(1, 2, "corrupt"),))
            )
        case "answer.json":
            return encode_answer(BatchAnswer(10, 3, 0, AT, AT, AT, ((1, 6),), (stamp,)))
    return encode_answer(Refusal("no", 8, "field", "0" * 16))


@pytest.mark.parametrize("name", FIRST_FIELDS)
def test_what_is_written_now_has_every_field_that_the_first_version_reads_with_the_same_types(name: str) -> None:
    before: dict[str, Any] = json.loads(frozen(name))
    now: dict[str, Any] = json.loads(written_now(name))
    assert set(before) == FIRST_FIELDS[name]
    for field, value in before.items():
        assert type(now[field]) is type(value) or None in (now[field], value), field
    assert now.get("version", 1) == WIRE_VERSION == 1, "what was added has defaults, so the version stays"


@pytest.mark.parametrize("name", FIRST_FIELDS)
def test_fields_of_a_later_version_are_ignored(name: str) -> None:
    plain = json.loads(frozen(name)) | {"of_a_later_version": {"a": [1, {"b": None}]}}
    raw = json.dumps(plain, separators=(",", ":")).encode()
    found: Any
    known: Any
    match name:
        case "batch.json":
            found, known = decode_batch(raw), decode_batch(frozen(name))
            assert [(each.seq, each.digest) for each in found.entries] == [(e.seq, e.digest) for e in known.entries]
            return
        case "answer.json":
            found, known = decode_answer(raw), decode_answer(frozen(name))
        case _:
            found, known = decode_refusal(raw), decode_refusal(frozen(name))
    assert found == known


def test_a_record_with_fields_of_a_later_version_is_read_and_its_bytes_are_left_alone() -> None:
    raw = frozen("record-good.json")[:-1] + b',"of_a_later_version":[1]}'
    assert decode_record(raw) == decode_record(frozen("record-good.json"))
    made = Batch("a", "r", "e", (Entry(1, digest("a", "e", 1, raw), raw),))
    assert decode_batch(encode_batch(made)).entries[0].body == raw


@pytest.mark.parametrize(("version", "is_read"), [(0, False), (1, True), (2, True), (3, False), (99, False)])
def test_the_next_version_is_read_and_one_beyond_is_refused_by_its_number(version: int, is_read: bool) -> None:
    raw = frozen("batch.json").replace(b'"version":1', b'"version":%d' % version)
    if is_read:
        assert decode_batch(raw).version == version
    else:
        with pytest.raises(BatchError, match=f"wire version {version}; this side reads 1 to 2"):
            decode_batch(raw)


def test_every_field_that_came_after_the_first_version_has_a_default() -> None:
    for kind, name in ((Batch, "batch.json"), (BatchAnswer, "answer.json"), (Refusal, "refusal.json")):
        later = [each for each in fields(kind) if each.name not in FIRST_FIELDS[name]]
        assert later, "this test would say nothing"
        assert all(each.default is not each.default_factory for each in later)
        body = json.loads(frozen(name))
        assert not set(body) & {each.name for each in later}
