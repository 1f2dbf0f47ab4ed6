"""What to do with a batch: read it, tell what is new, keep that durably, answer.

Rules
-----
1. A record is stored once for each (agent, epoch, seq). Sent again with the same digest it is a duplicate, counted;
   with another digest it is a conflict, and nothing of its batch is kept.
2. A record whose bytes do not match its digest, cannot be read, or holds a number that the store has no room for, is
   named; nothing of its batch is kept.
3. The answer comes after the store has synced. Batches that wait meanwhile are committed together. After a commit
   that failed, what is stored is read again: the failure may have come after the sync.
4. Stamps of the ledger never go backwards, and none is at or before an instant that `as_of` has given, also not where
   the clock was set back while no collector ran: the last one given stands in a file of its own.
5. An agent's counts, the losses it declares and the stamps it brings back are synced (`delivery`) before its answer,
   and before `as_of` gives an instant that they belong to. Counts of an epoch never go back: those of a copy of its
   spool, or of one that was restored, are passed over until they have caught up.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections import defaultdict
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from outrider.clock import Clock
from outrider.core.intervals import Interval, Intervals
from outrider.core.units import Instant
from outrider.core.wire import Batch, BatchAnswer, Entry, Stamp, digest
from outrider_collector.delivery import DeliveryLedger, Heard, Restored, Sender, Sequences, without
from outrider_collector.evidence.files import write_whole
from outrider_collector.extents import extents_of
from outrider_collector.held_clock import ClockAheadError
from outrider_collector.record_reading import LAST_INSTANT, UnreadableError, read_record
from outrider_collector.stamps import Stamper
from outrider_collector.store import NewRecord, Store, StoreFailedError

_MOST_AT_ONCE = 200
_SHOWN_GAPS = 100


class ConflictError(Exception):
    """The same seq came with another content (409). It is the first such seq of the batch; `known` is how the digest
    begins that is stored."""

    def __init__(self, seq: int, known: int) -> None:
        super().__init__(f"record {seq} was stored before with another content; begin a new epoch")
        self.seq = seq
        self.known = f"{known:016x}"


def _last_given(path: Path | None) -> Instant:
    """The instant in the file; -1 where there is none, or what is in it is none."""
    if path is None:
        return -1
    try:
        found = int(path.read_bytes()[:30])
    except (OSError, ValueError):
        return -1
    return found if 0 <= found <= LAST_INSTANT else -1


_Waiting: TypeAlias = tuple[Batch, Instant, Future[BatchAnswer]]


@dataclass(frozen=True, slots=True)
class _Taken:
    """A batch that is in order, and what of it is new."""

    batch: Batch
    received_at: Instant
    future: Future[BatchAnswer]
    fresh: tuple[NewRecord, ...]


class Intake:
    """Takes batches from many agents; one thread commits. `close` lets it end."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        given: Path | None = None,
        ledger: DeliveryLedger | None = None,
        stamper: Stamper | None = None,
    ) -> None:
        """`given` is the file that keeps the last instant of `as_of`; without one it is not kept."""
        self.ledger = ledger or DeliveryLedger()
        latest = self.ledger.latest()
        self.senders: dict[str, Sender] = {each.agent: each for each in latest}
        self._of_epochs = {(each.agent, each.epoch): each for each in latest}
        self.foreign_stamps = 0
        self._lost = dict(self.ledger.lost())
        self._stamper = stamper or Stamper()
        self.trouble = ""
        self._store = store
        self._clock = clock
        self._extents = extents_of(store)
        self._is_doubtful = False
        self._is_closed = False
        self._ledger = threading.Lock()
        self._given = given
        self._earliest_stamp: Instant = max(store.last_recorded(), _last_given(given) + 1)
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="intake", daemon=True)
        self._thread.start()

    async def submit(self, batch: Batch) -> BatchAnswer:
        """Keep what is new. Raises ConflictError, UnreadableError or StoreFailedError; then nothing was kept."""
        if self._is_closed:
            raise StoreFailedError("the collector is stopping")
        future: Future[BatchAnswer] = Future()
        self._waiting.put((batch, self._clock.now(), future))
        return await asyncio.wrap_future(future)

    @property
    def earliest_stamp(self) -> Instant:
        """The first instant that no statement was made as of."""
        return self._earliest_stamp

    def as_of(self) -> Instant:
        """Now, as an instant that the ledger is complete up to: what is recorded later gets a later stamp.

        Blocks while a commit runs.
        """
        with self._ledger:
            now = max(self._clock.now(), self._earliest_stamp)
            self._earliest_stamp = now + 1
            if self._given is not None:
                with contextlib.suppress(OSError):  # a disk that is full refuses nobody a statement
                    write_whole(self._given, str(now).encode())
            return now

    def stamp_after(self, instant: Instant) -> None:
        """Let no stamp be at or before an instant that a statement was issued as of, whatever the clock says now."""
        with self._ledger:
            self._earliest_stamp = max(self._earliest_stamp, instant + 1)

    def close(self) -> None:
        """Commit what waits, then refuse the rest."""
        self._is_closed = True
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

    def _commit(self, taken: list[_Waiting]) -> None:
        """One transaction for all batches that are in order; the others are refused by themselves."""
        try:
            if self._is_doubtful:
                self._extents, self._is_doubtful = extents_of(self._store), False
        except Exception as error:
            self._fail(taken, error)
            return
        new: dict[tuple[str, str, int], NewRecord] = {}
        accepted: list[_Taken] = []
        for batch, received_at, future in taken:
            try:
                fresh = self._new_of(batch, new)
            except Exception as error:
                future.set_exception(error)
            else:
                new |= {(record.agent, record.epoch, record.seq): record for record in fresh}
                accepted.append(_Taken(batch, received_at, future, tuple(fresh)))
        try:
            with self._ledger:
                stamp = self._append(list(new.values()))
                self._note(accepted, stamp)
                self.trouble = ""
            answers = [self._answer(each, stamp) for each in accepted]
        except Exception as error:
            self._fail([(each.batch, each.received_at, each.future) for each in accepted], error)
            return
        for each, answer in zip(accepted, answers, strict=True):
            each.future.set_result(answer)

    def _append(self, records: list[NewRecord]) -> Instant:
        """Commit under a stamp of its own (rule 4)."""
        stamp = self._earliest_stamp = max(self._clock.now(), self._earliest_stamp)
        if records:
            try:
                self._store.append(records, stamp)
            except Exception:
                self._is_doubtful = True
                raise
        for record in records:
            self._extents[record.agent, record.epoch].add(record.seq)
        return stamp

    def _fail(self, taken: list[_Waiting], error: Exception) -> None:
        if not isinstance(error, ClockAheadError):  # that is told where it is asked for, and ends by itself
            self.trouble = str(error)
        for _, _, future in taken:
            future.set_exception(StoreFailedError(str(error)))

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
                    raise ConflictError(entry.seq, known[entry.seq])
            elif twin is None:
                record = read_record(entry, batch.clock, self._clock.now())
                fresh.append(NewRecord(batch.agent, batch.epoch, entry.seq, short, record))
            elif twin.digest != short:
                raise ConflictError(entry.seq, twin.digest)
        return fresh

    def _note(self, accepted: list[_Taken], stamp: Instant) -> None:
        """Rule 5."""
        heard = Heard()
        agents: dict[str, Sender] = {}
        for each in accepted:
            batch = each.batch
            who = batch.agent, batch.epoch
            before = agents.get(batch.agent) or self.senders.get(batch.agent)
            duplicates = len(batch.entries) - len(each.fresh) + (before.duplicates if before else 0)
            counts = dict(batch.counts)
            known = heard.senders.get(who) or self._of_epochs.get(who)
            if known is not None and known.counts.get("scheduled", 0) > counts.get("scheduled", 0):
                counts = known.counts
            heard.senders[who] = agents[batch.agent] = Sender(
                batch.agent, batch.region, batch.epoch, batch.software, counts, stamp, duplicates
            )
            heard.losses += [(who, lost) for lost in batch.lost]
            heard.restored += self._restored(each, stamp)
        self.ledger.keep(heard, stamp)
        self._of_epochs |= heard.senders
        self.senders |= agents
        ranges: defaultdict[Sequences, list[Interval]] = defaultdict(list)
        for who, lost in heard.losses:
            ranges[who].append(Interval(lost.first, lost.last + 1))
        for who, found in ranges.items():
            self._lost[who] = self._lost.get(who, Intervals()) | Intervals(found)

    def _restored(self, taken: _Taken, now: Instant) -> list[Restored]:
        """Which records bring a stamp of ours that is older than the one they have; a stamp that is not ours makes them
        no worse than new. They may be stored already: a crash may have come between the store and the ledger."""
        batch = taken.batch
        if not batch.stamps or not batch.entries:
            return []
        entries = {entry.seq: entry for entry in batch.entries}
        has = self._store.recorded(batch.agent, batch.epoch, batch.entries[0].seq, batch.entries[-1].seq)
        fresh = {record.seq for record in taken.fresh}
        found = []
        for each in batch.stamps:
            entry = entries.get(each.seq)
            if entry is None:
                continue
            is_ours = self._stamper.is_ours(batch.agent, batch.epoch, entry, each.recorded_at, each.signature)
            if is_ours and each.recorded_at < has.get(each.seq, now):
                found.append(Restored(batch.agent, batch.epoch, each.seq, each.recorded_at))
            elif each.seq in fresh:
                self.foreign_stamps += 1
        return found

    def _stamps(self, taken: _Taken, stamp: Instant) -> tuple[Stamp, ...]:
        """A signed stamp for each record of the batch: of those that were stored before, the one they got then."""
        batch = taken.batch
        fresh = {record.seq for record in taken.fresh}
        recorded = dict.fromkeys(fresh, stamp)
        if batch.entries and len(fresh) < len(batch.entries):
            first, last = batch.entries[0].seq, batch.entries[-1].seq
            recorded = self._store.recorded(batch.agent, batch.epoch, first, last) | recorded

        def signed(entry: Entry) -> Stamp:
            at = recorded[entry.seq]
            return Stamp(entry.seq, at, self._stamper.signature(batch.agent, batch.epoch, entry, at))

        return tuple(signed(entry) for entry in batch.entries if entry.seq in recorded)

    def _answer(self, taken: _Taken, stamp: Instant) -> BatchAnswer:
        batch = taken.batch
        extents = self._extents[batch.agent, batch.epoch]
        lost = self._lost.get((batch.agent, batch.epoch), Intervals())
        return BatchAnswer(
            high_water=max(extents.high_water, lost.members[-1].end - 1 if lost else 0),
            stored=len(taken.fresh),
            duplicates=len(batch.entries) - len(taken.fresh),
            received_at=taken.received_at,
            answered_at=self._clock.now(),
            recorded_at=stamp,
            gaps=without(extents.gaps(), lost)[-_SHOWN_GAPS:],
            stamps=self._stamps(taken, stamp),
        )
