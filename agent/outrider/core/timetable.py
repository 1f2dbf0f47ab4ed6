"""When a check runs: slots on an absolute grid, so that agents spread out without talking to each other.

Rules
-----
1. The slots of a check in a region are `phase + k * interval` since the epoch, for every integer k. The grid does
   not depend on when the agent started: after a restart the next slot is where it would have been.
2. The phase is a hash of region and check. It keeps `lateness` away from every slice edge (on both sides), so that
   neither a late start nor a small clock error moves a sample into a neighbouring slice.
3. A run never overlaps its predecessor. Slots that passed in the meantime are missed: they are counted, not made up.
4. A run that would start more than `lateness` after its slot does not start: that slot is missed too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import gcd

from outrider.core.units import MILLISECOND, SECOND, Duration, Instant

DEFAULT_SLICE: Duration = 60 * SECOND
LARGEST_DEFAULT_LATENESS: Duration = 1 * SECOND


@dataclass(frozen=True, slots=True)
class Slot:
    """A point of the grid, and how many points before it went by without a run."""

    at: Instant
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Timetable:
    """The grid of one check in one region.

    Durations in microseconds. Raises ValueError when `lateness` leaves no room between slice edges.
    """

    region: str
    check: str
    interval: Duration
    slice: Duration = DEFAULT_SLICE
    lateness: Duration | None = None

    def __post_init__(self) -> None:
        if self.interval <= 0 or self.slice <= 0:
            raise ValueError("interval and slice must be longer than nothing")
        if not 0 < 2 * self.allowed_lateness < self.grain:
            raise ValueError(
                f"a lateness limit of {self.allowed_lateness} us leaves no room: interval {self.interval} us and slice "
                f"{self.slice} us have edges every {self.grain} us; choose an interval that divides the slice"
            )

    @property
    def grain(self) -> Duration:
        """The finest distance between a slot's grid and slice edges: gcd(interval, slice)."""
        return gcd(self.interval, self.slice)

    @property
    def allowed_lateness(self) -> Duration:
        if self.lateness is not None:
            return self.lateness
        return max(MILLISECOND, min(LARGEST_DEFAULT_LATENESS, self.grain // 4))

    @property
    def phase(self) -> Duration:
        """Offset of the grid from the epoch, in [0, interval). Source: rule 2."""
        content = hashlib.sha256(f"{self.region}\n{self.check}".encode()).digest()
        cell, spread = divmod(int.from_bytes(content[:8], "big") % self.interval, self.grain)
        room = self.grain - 2 * self.allowed_lateness
        return cell * self.grain + self.allowed_lateness + spread * room // self.grain

    def next_slot(self, now: Instant, last: Instant | None = None) -> Slot:
        """The first slot at or after `now` and after `last`, the slot served before; raises nothing.

        A clock that went back a little never makes a slot be served twice. One that was set back by more than an
        interval begins anew: waiting for the old time to come again would be silence.
        """
        ahead = self._at_or_after(now)
        if last is None or last - now > self.interval:
            return Slot(ahead)
        following = last + self.interval
        if ahead <= following:
            return Slot(following)
        return Slot(ahead, (ahead - following) // self.interval)

    def is_too_late(self, slot: Slot, now: Instant) -> bool:
        """Whether a run for `slot` may no longer start (rule 4)."""
        return now - slot.at > self.allowed_lateness

    def _at_or_after(self, now: Instant) -> Instant:
        cells = -((self.phase - now) // self.interval)
        return self.phase + cells * self.interval
