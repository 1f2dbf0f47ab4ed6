"""Records and batches as bytes: JSON, so that a person can read what was sent.

A record's bytes are made once and then only copied: the digest is over them. A batch carries them unchanged.
"""

from __future__ import annotations

from itertools import pairwise

import msgspec

from outrider.core.clock_estimate import Estimate
from outrider.core.wire import WIRE_VERSION, Batch, BatchAnswer, Entry, Refusal, RunRecord

MOST_ENTRIES = 5_000
"""The most records in one batch."""

MOST_COUNTS = 64
"""The most running totals in one batch."""

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
        clock=wire.clock,
    )


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
