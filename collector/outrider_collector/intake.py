"""What to do with a batch: read it, tell what is new, keep that durably, answer.

Rules
-----
1. A record is stored once for each (agent, epoch, seq). Sent again with the same digest it is a duplicate, counted;
   with another digest it is a conflict, and nothing of its batch is kept.
2. A record whose bytes do not match its digest, or cannot be read, is named; nothing of its batch is kept.
3. The answer comes after the store has synced. Batches that wait meanwhile are committed together.
4. Stamps of the ledger never go backwards.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass

from outrider.clock import Clock
from outrider.codecs.records import BatchError, decode_record
from outrider.core.outcome import OutcomeClass
from outrider.core.units import Instant
from outrider.core.wire import Batch, BatchAnswer, RunRecord, digest
from outrider_collector.store import NewRecord, Store, StoreFailedError

_MOST_AT_ONCE = 200
_LARGEST = 2**62
_SHOWN_GAPS = 100


class ConflictError(Exception):
    """The same seq came with another content (409)."""

    def __init__(self, seq: int) -> None:
        super().__init__(f"record {seq} was stored before with another content; begin a new epoch")
        self.seq = seq


class UnreadableError(Exception):
    """One record cannot be read (422)."""

    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(f"record {seq}: {reason}")
        self.seq = seq


class Extents:
    """Which seqs of one agent and epoch are stored, as ranges."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges = list(ranges)

    def __contains__(self, seq: int) -> bool:
        at = bisect_right(self._ranges, (seq, _LARGEST)) - 1
        return at >= 0 and self._ranges[at][1] >= seq

    def add(self, seq: int) -> None:
        at = bisect_right(self._ranges, (seq, _LARGEST)) - 1
        if at >= 0 and self._ranges[at][1] + 1 == seq:
            self._ranges[at] = (self._ranges[at][0], seq)
            if at + 1 < len(self._ranges) and self._ranges[at + 1][0] == seq + 1:
                self._ranges[at : at + 2] = [(self._ranges[at][0], self._ranges[at + 1][1])]
        elif at + 1 < len(self._ranges) and self._ranges[at + 1][0] == seq + 1:
            self._ranges[at + 1] = (seq, self._ranges[at + 1][1])
        else:
            insort(self._ranges, (seq, seq))

    @property
    def high_water(self) -> int:
        return self._ranges[-1][1] if self._ranges else 0

    def gaps(self) -> tuple[tuple[int, int], ...]:
        """The ranges below the high-water mark that never came; the last of them, should there be very many."""
        edges = [0, *(edge for pair in self._ranges for edge in pair)]
        pairs = zip(edges[0::2], edges[1::2], strict=False)
        return tuple((last + 1, first - 1) for last, first in pairs if first > last + 1)[-_SHOWN_GAPS:]


@dataclass(frozen=True, slots=True)
class Sender:
    """What the collector knows of an agent, from its batches."""

    agent: str
    region: str
    epoch: str
    software: str
    counts: dict[str, int]
    last_seen: Instant
    duplicates: int


class Intake:
    """Takes batches from many agents; one thread commits. `close` lets it end."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.senders: dict[str, Sender] = {}
        self.trouble = ""
        self._store = store
        self._clock = clock
        self._extents: defaultdict[tuple[str, str], Extents] = defaultdict(Extents)
        for key, ranges in store.extents().items():
            self._extents[key] = Extents(ranges)
        self._last_stamp: Instant = 0
        self._waiting: queue.SimpleQueue[tuple[Batch, Instant, Future[BatchAnswer]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="intake", daemon=True)
        self._thread.start()

    async def submit(self, batch: Batch) -> BatchAnswer:
        """Keep what is new. Raises ConflictError, UnreadableError or StoreFailedError; then nothing was kept."""
        future: Future[BatchAnswer] = Future()
        self._waiting.put((batch, self._clock.now(), future))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        stopping = False
        while not stopping:
            taken = [self._waiting.get()]
            while len(taken) < _MOST_AT_ONCE and not self._waiting.empty():
                taken.append(self._waiting.get_nowait())
            stopping = None in taken
            self._commit([each for each in taken if each is not None and each[2].set_running_or_notify_cancel()])

    def _commit(self, taken: list[tuple[Batch, Instant, Future[BatchAnswer]]]) -> None:
        """One transaction for all batches that are in order; the others are refused by themselves."""
        new: dict[tuple[str, str, int], NewRecord] = {}
        accepted: list[tuple[Batch, Instant, Future[BatchAnswer], int]] = []
        for batch, received_at, future in taken:
            try:
                fresh = self._new_of(batch, new)
            except Exception as error:
                future.set_exception(error)
            else:
                new |= {(record.agent, record.epoch, record.seq): record for record in fresh}
                accepted.append((batch, received_at, future, len(fresh)))
        stamp = self._last_stamp = max(self._clock.now(), self._last_stamp)
        try:
            if new:
                self._store.append(list(new.values()), stamp)
            self.trouble = ""
        except Exception as error:
            self.trouble = str(error)
            for _, _, future, _ in accepted:
                future.set_exception(StoreFailedError(str(error)))
            return
        for record in new.values():
            self._extents[record.agent, record.epoch].add(record.seq)
        for batch, received_at, future, stored in accepted:
            future.set_result(self._answer(batch, received_at, stamp, stored))

    def _new_of(self, batch: Batch, beside: dict[tuple[str, str, int], NewRecord]) -> list[NewRecord]:
        extents = self._extents[batch.agent, batch.epoch]
        known: dict[int, int] | None = None
        fresh = []
        for entry in batch.entries:
            if digest(batch.agent, batch.epoch, entry.seq, entry.body) != entry.digest:
                raise UnreadableError(entry.seq, "its bytes do not match its digest")
            short = int(entry.digest[:16], 16)
            twin = beside.get((batch.agent, batch.epoch, entry.seq))
            if twin is None and entry.seq in extents:
                if known is None:
                    first, last = batch.entries[0].seq, batch.entries[-1].seq
                    known = self._store.digests(batch.agent, batch.epoch, first, last)
                if known.get(entry.seq, short) != short:
                    raise ConflictError(entry.seq)
            elif twin is None:
                fresh.append(NewRecord(batch.agent, batch.epoch, entry.seq, short, self._read(entry.seq, entry.body)))
            elif twin.digest != short:
                raise ConflictError(entry.seq)
        return fresh

    def _read(self, seq: int, body: bytes) -> RunRecord:
        try:
            record = decode_record(body)
            OutcomeClass(record.outcome)
            for step in record.steps:
                OutcomeClass(step.outcome)
        except (BatchError, ValueError) as error:
            raise UnreadableError(seq, str(error)) from None
        if not 0 <= record.latency < 2**53 or not 0 < record.started_at < 2**60 or record.interval < 0:
            raise UnreadableError(seq, "a time in it is out of range")
        return record

    def _answer(self, batch: Batch, received_at: Instant, stamp: Instant, stored: int) -> BatchAnswer:
        extents = self._extents[batch.agent, batch.epoch]
        duplicates = len(batch.entries) - stored
        before = self.senders.get(batch.agent)
        self.senders[batch.agent] = Sender(
            batch.agent,
            batch.region,
            batch.epoch,
            batch.software,
            dict(batch.counts),
            stamp,
            duplicates + (before.duplicates if before else 0),
        )
        return BatchAnswer(
            high_water=extents.high_water,
            stored=stored,
            duplicates=duplicates,
            received_at=received_at,
            answered_at=self._clock.now(),
            recorded_at=stamp,
            gaps=extents.gaps(),
        )
