"""The spool as the agent sees it: asynchronous, with one writer thread and shared commits.

`append` returns after its record is synced to disk. What waits while a commit runs goes into the next one together,
so the cost of a sync is shared and nobody waits for a timer: an append waits for the commit under way and for its own,
never longer. A commit takes so many requests at most, so that no commit grows with the crowd.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from outrider.clock import Clock
from outrider.core.units import DAY, Duration
from outrider.core.wire import Entry, Stamp
from outrider.spool.file import DEFAULT_QUOTA, SpoolFile
from outrider.spool.place import SpoolError
from outrider.spool.recall import Recalled
from outrider.spool.totals import WENT

T = TypeVar("T")
_Request = tuple[Callable[[], Any], "Future[Any]"]

CONTROL_NUMBERS_PER_AGENT = 10**6
HIGHEST_NUMBER = 998
"""Of an agent. The next one, the last that fits nine digits, is for commands without a spool."""

_CONTROL_NUMBER_BLOCK = 1000
_PATIENCE_S = 10
_MOST_TOGETHER = 200
_MOST_ATTEMPTS = 8


class Outbox:
    """Open it once a process; `close` it to let go of the file. Raises SpoolError where it cannot be opened.

    `number` is the agent's, 0 to 998: the first digits of its control numbers.
    """

    def __init__(
        self,
        path: Path,
        *,
        agent: str,
        clock: Clock,
        quota: int = DEFAULT_QUOTA,
        retention: Duration = DAY,
        number: int = 0,
    ) -> None:
        self._file = SpoolFile(path, agent=agent, clock=clock, quota=quota, retention=retention)
        self._number = number
        self._control_numbers: list[int] = []
        self._pending: Counter[str] = Counter()
        self._pending_lock = threading.Lock()
        self._totals: Mapping[str, int] = dict(self._file.counts)
        self._is_closed = False
        self._work: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="spool", daemon=True)
        self._thread.start()

    @property
    def agent(self) -> str:
        return self._file.agent

    @property
    def epoch(self) -> str:
        return self._file.epoch

    @property
    def acknowledged(self) -> int:
        """The highest seq that the collector has acknowledged."""
        return self._file.acknowledged

    @property
    def set_aside(self) -> Path | None:
        """Where the old file went, if it could not be opened."""
        return self._file.set_aside

    def count(self, name: str, by: int = 1) -> None:
        """Add to a running total; it is written with the next commit."""
        with self._pending_lock:
            self._pending[name] += by

    def counts(self) -> dict[str, int]:
        """All totals of this epoch, `waiting` among them; see `SpoolFile.counts`."""
        with self._pending_lock:
            totals = Counter(self._totals) + self._pending
        return {**totals, "waiting": totals["recorded"] - sum(totals[name] for name in WENT)}

    async def append(self, body: bytes) -> int | None:
        """Keep a record; its seq, once synced. None where it could not be kept, which is counted."""
        try:
            return await self._ask(lambda: self._file.append(body))
        except SpoolError:
            self.count("dropped_unwritable")
            return None

    async def read(self, most: int, most_bytes: int) -> tuple[Entry, ...]:
        """The oldest records that wait, at least one if any does."""
        return await self._ask(lambda: self._file.read(most, most_bytes))

    async def acknowledge(self, high_water: int, stamps: Sequence[Stamp] = ()) -> None:
        """The collector has synced every record up to this seq, and gave these stamps."""
        await self._ask(lambda: self._file.acknowledge(high_water, stamps))

    async def dead_letter(self, seq: int, reason: str) -> None:
        """Put a record aside that the collector cannot read, with its reason."""
        await self._ask(lambda: self._file.put_aside(seq, reason, "dead_lettered"))

    async def recall(self, gaps: Sequence[tuple[int, int]], most: int, most_bytes: int) -> Recalled:
        """What answers the collector's gaps of delivered records: those still kept, and why others never come."""
        return await self._ask(lambda: self._file.recall(gaps, most, most_bytes))

    async def give_up(self, seq: int) -> None:
        """Send a delivered record no more: the collector cannot read it now."""
        await self._ask(lambda: self._file.give_up(seq))

    async def is_same(self, seq: int, known: str) -> bool:
        """Whether the collector's digest is that of a record that waits, in any form that it has or had."""
        return await self._ask(lambda: self._file.is_same(seq, known))

    async def begin_new_epoch(self, first: int = 0) -> None:
        """Start a new sequence with what waits from `first` on (this spool was cloned)."""
        await self._ask(lambda: self._file.renumber(first))

    def control_number(self) -> int:
        """At most nine digits: this agent's number, then a counter that goes on after a restart.

        Blocks for one commit in a thousand calls. Raises SpoolError where the spool does not answer.
        """
        if not self._control_numbers:
            try:
                self._control_numbers = self._submit(self._reserve).result(_PATIENCE_S)[::-1]
            except TimeoutError:
                raise SpoolError(f"{self._file.path} does not answer") from None
        return self._number * CONTROL_NUMBERS_PER_AGENT + self._control_numbers.pop()

    def close(self) -> None:
        """Write what is pending and let go of the file; whoever asks later gets a SpoolError."""
        self._is_closed = True
        self._work.put(None)
        self._thread.join()

    def _reserve(self) -> list[int]:
        """The next block of control numbers, written down before the first of them is used. Zero is none."""
        first = self._file.control_number
        following = first + _CONTROL_NUMBER_BLOCK
        self._file.control_number = following if following < CONTROL_NUMBERS_PER_AGENT else 1
        return list(range(first, min(first + _CONTROL_NUMBER_BLOCK, CONTROL_NUMBERS_PER_AGENT)))

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        if self._is_closed:
            raise SpoolError(f"{self._file.path} is closed")
        self._work.put((work, future))
        return future

    async def _ask(self, work: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._submit(work))

    # --- the writer thread ---------------------------------------------------------------------------------------

    def _write(self) -> None:
        """Take all that waits, do it in one transaction, then answer; until told to stop."""
        stopping = False
        while not stopping:
            waiting = [self._work.get()]
            while len(waiting) < _MOST_TOGETHER and None not in waiting[-1:] and not self._work.empty():
                waiting.append(self._work.get_nowait())
            stopping = None in waiting
            self._serve([each for each in waiting if each is not None and each[1].set_running_or_notify_cancel()])
        self._file.close()

    def _serve(self, requests: list[_Request]) -> None:
        try:
            results = self._together([work for work, _ in requests])
        except Exception:
            # One cannot take the others along: each by itself, with room made where there is none.
            for work, future in requests:
                self._alone(work, future)
        else:
            for (_, future), result in zip(requests, results, strict=True):
                future.set_result(result)

    def _together(self, works: list[Callable[[], Any]]) -> list[Any]:
        with self._pending_lock:
            pending = Counter(self._pending)
        try:
            self._file.begin()
            self._file.counts += pending
            results = [work() for work in works]
            self._file.commit()
        except BaseException:
            self._file.roll_back()
            raise
        with self._pending_lock:
            self._pending -= pending
            self._totals = dict(self._file.counts)
        return results

    def _alone(self, work: Callable[[], Any], future: Future[Any]) -> None:
        failure: Exception | None = None
        for attempt in range(_MOST_ATTEMPTS):
            try:
                future.set_result(self._together([lambda: self._with_room(work, attempt)])[0])  # noqa: B023
                return
            except (sqlite3.Error, UnicodeDecodeError) as error:  # a message may hold text of a damaged file
                failure = SpoolError(f"cannot write {self._file.path}: {error}")
                if "full" not in str(error):
                    break
            except Exception as error:
                failure = error
                break
        future.set_exception(failure or SpoolError("nothing was tried"))

    def _with_room(self, work: Callable[[], T], attempt: int) -> T:
        """Room is made in the transaction that needs it: first none, then twice as much each time."""
        if attempt:
            self._file.make_room(2 ** (attempt - 1))
        return work()


def conservation(counts: Mapping[str, int]) -> tuple[int, int]:
    """Both sides of the promise: scheduled, and the sum of where each scheduled run went. They differ by the runs
    that are under way."""
    ways = (*WENT, "skipped", "lost_in_flight", "waiting", "dropped_unwritable")
    return counts.get("scheduled", 0), sum(counts.get(name, 0) for name in ways)
