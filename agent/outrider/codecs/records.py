"""Records and batches as bytes: JSON, so that a person can read what was sent.

A record's bytes are made once and then only copied: the digest is over them. A batch carries them unchanged.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec

from outrider.core.clock_estimate import Estimate
from outrider.core.wire import WIRE_VERSION, Batch, BatchAnswer, Entry, Lost, Refusal, RunRecord, Stamp

MOST_ENTRIES = 5_000
"""The most records in one batch."""

MOST_COUNTS = 64
"""The most running totals in one batch."""

MOST_LETTERS = 60
"""Of the software's version, and of a count's name."""

MOST_LOST = 1_000
"""The most ranges that one batch declares lost."""

_LARGEST = 2**53 - 1
"""The largest number that every reader of JSON keeps exactly (RFC 8259, 6)."""


class BatchError(ValueError):
    """A batch or a record that cannot be read; the message says what is wrong with it."""


class _WireEntry(msgspec.Struct, array_like=True, frozen=True):
    seq: int
    digest: str
    body: msgspec.Raw


class _WireBatch(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    agent: str
    region: str
    epoch: str
    entries: list[_WireEntry]
    counts: dict[str, int] = {}
    software: str = ""
    stamps: tuple[Stamp, ...] = ()
    lost: tuple[Lost, ...] = ()
    clock: Estimate | None = None


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_encoder = msgspec.json.Encoder()
_batch_decoder = msgspec.json.Decoder(_WireBatch)
_record_decoder = msgspec.json.Decoder(RunRecord)
_answer_decoder = msgspec.json.Decoder(BatchAnswer)
_refusal_decoder = msgspec.json.Decoder(Refusal)


def encode_record(record: RunRecord) -> bytes:
    """A record's bytes."""
    return _encoder.encode(record)


def decode_record(body: bytes) -> RunRecord:
    """Read a record's bytes; fields of a newer version are ignored. Raises BatchError."""
    try:
        return _record_decoder.decode(body)
    except _UNREADABLE as error:
        raise BatchError(f"the record cannot be read: {error}") from None


def without_detail(body: bytes) -> bytes | None:
    """A record's bytes without the captured text; None where that saves nothing. Always the same bytes."""
    plain = _as_plain(body)
    if not plain or not plain.get("detail"):
        return None
    return _encoder.encode({**plain, "detail": ""})


def without_phases(body: bytes) -> bytes | None:
    """A record's bytes without the timings of its phases, of the run and of each step; None where there are none."""
    plain = _as_plain(body)
    if not plain or not isinstance(plain.get("steps", []), list):
        return None
    steps = [{**step, "phases": {}} if isinstance(step, dict) else step for step in plain.get("steps", [])]
    bare = _encoder.encode({**{name: plain[name] for name in plain if name != "phases"}, "steps": steps})
    return bare if len(bare) < len(body) else None


def _as_plain(body: bytes) -> dict[str, Any] | None:
    """With the fields that this version does not know."""
    try:
        plain = msgspec.json.decode(body)
    except _UNREADABLE:
        return None
    return plain if isinstance(plain, dict) else None


def encode_batch(batch: Batch) -> bytes:
    """A batch's bytes, not yet compressed."""
    entries = [_WireEntry(entry.seq, entry.digest, msgspec.Raw(entry.body)) for entry in batch.entries]
    return _encoder.encode(
        _WireBatch(
            version=batch.version,
            agent=batch.agent,
            region=batch.region,
            epoch=batch.epoch,
            entries=entries,
            counts=dict(batch.counts),
            software=batch.software,
            stamps=batch.stamps,
            lost=batch.lost,
            clock=batch.clock,
        )
    )


def decode_batch(raw: bytes) -> Batch:
    """Read a batch; its records stay bytes. Raises BatchError."""
    try:
        wire = _batch_decoder.decode(raw)
    except _UNREADABLE as error:
        raise BatchError(f"the batch cannot be read: {error}") from None
    if wire.version > WIRE_VERSION + 1 or wire.version < 1:
        raise BatchError(f"the batch has wire version {wire.version}; this side reads 1 to {WIRE_VERSION + 1}")
    if len(wire.entries) > MOST_ENTRIES:
        raise BatchError(f"the batch has {len(wire.entries)} records; the most is {MOST_ENTRIES}")
    sequence = [entry.seq for entry in wire.entries]
    if any(later <= earlier for earlier, later in pairwise(sequence)) or min(sequence, default=1) < 1:
        raise BatchError("the records of a batch must be in ascending order of seq, from 1")
    if max(sequence, default=1) > _LARGEST:
        raise BatchError(f"the records of a batch are numbered up to {_LARGEST}")
    if len(wire.counts) > MOST_COUNTS or any(abs(count) > _LARGEST for count in wire.counts.values()):
        raise BatchError(f"a batch has at most {MOST_COUNTS} counts, none beyond {_LARGEST}")
    # These are kept for every minute: what is said there must be short.
    if not all(_is_short(word) for word in (wire.software, *wire.counts)):
        raise BatchError(f"software and names of counts have {MOST_LETTERS} printable characters at most")
    if len(wire.stamps) > MOST_ENTRIES or any(not 0 < each.recorded_at <= _LARGEST for each in wire.stamps):
        raise BatchError(f"a batch has at most {MOST_ENTRIES} stamps, each an instant from 1 to {_LARGEST}")
    if len(wire.lost) > MOST_LOST or any(not _is_loss(each) for each in wire.lost):
        raise BatchError(
            f"a batch declares at most {MOST_LOST} ranges lost, each from 1 to {_LARGEST} and with a reason"
        )
    if wire.clock is not None and not _is_sound(wire.clock):
        raise BatchError("the estimate of the collector's clock in a batch has a number that no clock can have")
    names = (wire.agent, wire.region, wire.epoch)
    # A line break in a name would let two identities share a digest.
    if not all(names) or len("".join(names)) > 300 or not all(name.isprintable() for name in names):
        raise BatchError("a batch must name its agent, region and epoch, in 300 printable characters together")
    return Batch(
        agent=wire.agent,
        region=wire.region,
        epoch=wire.epoch,
        entries=tuple(Entry(entry.seq, entry.digest, bytes(entry.body)) for entry in wire.entries),
        counts=wire.counts,
        version=wire.version,
        software=wire.software,
        stamps=wire.stamps,
        lost=wire.lost,
        clock=wire.clock,
    )


def _is_short(word: str) -> bool:
    return len(word) <= MOST_LETTERS and word.isprintable()


def _is_loss(lost: Lost) -> bool:
    return 1 <= lost.first <= lost.last <= _LARGEST and lost.reason.isprintable() and 0 < len(lost.reason) <= 40


def _is_sound(estimate: Estimate) -> bool:
    return max(abs(estimate.shift), abs(estimate.at), estimate.error) <= _LARGEST and estimate.error >= 0


def encode_answer(answer: BatchAnswer | Refusal) -> bytes:
    """An answer's bytes."""
    return _encoder.encode(answer)


def decode_answer(raw: bytes) -> BatchAnswer:
    """Read the answer to a batch. Raises BatchError."""
    try:
        return _answer_decoder.decode(raw)
    except _UNREADABLE as error:
        raise BatchError(f"the collector's answer cannot be read: {error}") from None


def decode_refusal(raw: bytes) -> Refusal:
    """Read a refusal; one that cannot be read is a refusal without words."""
    try:
        return _refusal_decoder.decode(raw)
    except _UNREADABLE:
        return Refusal(raw[:200].decode("utf-8", "replace"))
