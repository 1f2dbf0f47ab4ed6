"""The collector's clock, as this agent has learned it from its exchanges; kept beside the spool through restarts.

What is kept is worth something for this boot of this machine only, and nothing is lost with it: it is written now and
then, without a sync, and a file that cannot be read or written is passed over.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import msgspec

from outrider.clock import MachineClock
from outrider.core.clock_estimate import Estimate, Reading, better
from outrider.core.units import MINUTE, Duration
from outrider.core.wire import BatchAnswer


class CollectorClock:
    """Learns, remembers and tells. `path` is the file to remember by; None remembers nothing."""

    def __init__(self, clock: MachineClock, path: Path | None = None) -> None:
        self._clock = clock
        self._path = path
        self._kept_at: Duration | None = None
        self.estimate = self._remembered()

    def read(self) -> Reading:
        """This machine's clocks now; without an offset before the first exchange of this boot."""
        wall, boottime = self._clock.now(), self._clock.boottime()
        offset = None if self.estimate is None else self.estimate.offset(wall, boottime)
        return Reading(self._clock.boot, boottime, offset)

    def learn(self, answer: BatchAnswer, sent_at: Duration, round_trip: Duration) -> None:
        """Take an exchange in; one that places nothing is passed over. `sent_at` and `round_trip` are by the boot
        clock, which goes on while the machine sleeps."""
        if not Estimate.is_possible(answer.received_at, answer.answered_at, round_trip):
            return
        new = Estimate.of_exchange(
            boot=self._clock.boot,
            sent_at=sent_at,
            round_trip=round_trip,
            received_at=answer.received_at,
            answered_at=answer.answered_at,
        )
        self.estimate = better(self.estimate, new)

    async def keep(self) -> None:
        """Write it down, once a minute at most."""
        now = self._clock.boottime()
        if self._path is None or (self._kept_at is not None and now - self._kept_at < MINUTE):
            return
        self._kept_at = now
        await asyncio.to_thread(self._write, self._path)

    def _write(self, path: Path) -> None:
        with suppress(OSError):
            beside = path.with_name(f"{path.name}.new")
            beside.write_bytes(msgspec.json.encode(self.estimate))
            beside.replace(path)

    def _remembered(self) -> Estimate | None:
        if self._path is None:
            return None
        with suppress(OSError, msgspec.DecodeError):
            found = msgspec.json.decode(self._path.read_bytes(), type=Estimate)
            is_sound = found.boot == self._clock.boot and found.error >= 0 and found.at <= self._clock.boottime()
            return found if is_sound else None
        return None
