"""The wire types between agent and collector: what a run leaves behind, and the batches it travels in.

A record is written once, by the agent, and never changed. Its digest binds its bytes to who wrote it and where
it stands (agent, epoch, seq); spool, protocol and store carry the same digest.

Compatibility: a field may be added with a default, never removed or given another meaning within a version.
Readers ignore fields they do not know.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from outrider.core.clock_estimate import Estimate
from outrider.core.units import Duration, Instant

WIRE_VERSION = 1
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Phases:
    """Where the time of an exchange went, microseconds; phases that did not happen are 0."""

    resolve: Duration = 0
    connect: Duration = 0
    tls: Duration = 0
    send: Duration = 0
    wait: Duration = 0
    receive: Duration = 0

    def __add__(self, other: Phases) -> Phases:
        return Phases(
            self.resolve + other.resolve,
            self.connect + other.connect,
            self.tls + other.tls,
            self.send + other.send,
            self.wait + other.wait,
            self.receive + other.receive,
        )


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of a run."""

    name: str
    outcome: str
    code: str
    place: str
    latency: Duration
    phases: Phases
    status: int = 0


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run, as its agent saw it.

    `started_at` is the agent's own clock; `clock_offset` (collector minus agent) and `clock_error` (half width of
    its error bar) are null until the agent has an estimate; `boottime` is its boot clock at the same moment and `boot`
    names that boot, so that an estimate that came later can be taken for it. `latency` runs from before name resolution
    of the first step to the end of the last step; cleanup is left out. `interval` is kept with each run so that the
    accounts need no configuration: the run speaks for its region until `scheduled_at + interval`.
    `cleanup` is "none", "pending", "confirmed" or "unconfirmed". A run is recorded as soon as it is measured; what
    became of a pending cleanup follows in a record of purpose "cleanup" with the same check and times.
    """

    check: str
    scenario: str
    region: str
    purpose: str
    scheduled_at: Instant
    started_at: Instant
    interval: Duration
    latency: Duration
    outcome: str
    fault: str
    code: str = ""
    place: str = ""
    step: str = ""
    detail: str = ""
    status: int = 0
    cleanup: str = "none"
    clock_offset: Duration | None = None
    clock_error: Duration | None = None
    boot: str = ""
    boottime: Duration = 0
    phases: Phases = field(default_factory=Phases)
    steps: tuple[StepRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as it travels: its place in the agent's sequence, its digest, and its exact bytes."""

    seq: int
    digest: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Stamp:
    """When the collector first recorded a record, with its signature. Only the collector can tell a right one."""

    seq: int
    recorded_at: Instant
    signature: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Records (first to last) that the agent no longer has and that will never come, and why: a word of `LOSSES`."""

    first: int
    last: int
    reason: str


LOSSES = ("dead_lettered", "dropped_quota", "corrupt", "not_kept")
"""Refused by the collector as unreadable; dropped at the quota; damaged in the spool; delivered once, and longer ago
than the spool keeps. A reader takes a word that it does not know for another reason."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What an agent sends at once. `counts` are the agent's running totals for this epoch (conservation); `clock` is
    what it knows of the collector's clock as it sends.

    `stamps` go with records that are sent again; `lost` declares those that cannot be.
    """

    agent: str
    region: str
    epoch: str
    entries: tuple[Entry, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    version: int = WIRE_VERSION
    software: str = ""
    stamps: tuple[Stamp, ...] = ()
    lost: tuple[Lost, ...] = ()
    clock: Estimate | None = None


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """The collector's answer, given after its store has synced.

    Every seq up to `high_water` is stored or was declared lost, except the ranges in `gaps` (first, last): those the
    collector does not have, and asks for.
    `received_at` and `answered_at` are the collector's clock, for the agent's estimate of its own offset;
    `recorded_at` is the stamp under which the batch's new records entered the ledger; `stamps` are those of all its
    records, signed, for the agent to keep.
    """

    high_water: int
    stored: int
    duplicates: int
    received_at: Instant
    answered_at: Instant
    recorded_at: Instant
    gaps: tuple[tuple[int, int], ...] = ()
    stamps: tuple[Stamp, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The body of every answer but 200. `seq` names the one record that is meant, `field` the one field; `digest` is
    how the digest begins that the collector has for that record, in a conflict."""

    error: str
    seq: int | None = None
    field: str | None = None
    digest: str | None = None


def digest(agent: str, epoch: str, seq: int, body: bytes) -> str:
    """SHA-256 of a record's identity and bytes, first 128 bits, in hex."""
    content = hashlib.sha256(f"{agent}\n{epoch}\n{seq}\n".encode())
    content.update(body)
    return content.digest()[:DIGEST_BYTES].hex()
