"""What an agent knows of the collector's clock: an estimate, and an error bar that grows as long as nobody asks again.

Rules
-----
1. An estimate ties the collector's clock to the agent's boot clock, which nobody sets and which goes on while the
   machine sleeps. The agent's wall clock may be set at any time: the estimate stays as good as it was.
2. An exchange places the collector's clock within half the way there and back; the time that the collector itself took
   is not part of the way (RFC 5905, 8).
3. With distance in time the error bar grows by what a clock drifts (RFC 5905: PHI, 15 ppm).
4. Of two estimates whose error bars meet, the one with the shorter bar stays. Where they do not meet, a clock was set:
   the newer one stays.
5. An estimate belongs to one boot of one machine.
6. An exchange places nothing in which the collector's clock was set: where the collector says that it took less time
   than none, or longer than the whole exchange.
"""

from __future__ import annotations

from dataclasses import dataclass

from outrider.core.units import MILLISECOND, SECOND, Duration, Instant

DRIFT_PPM = 15
_SLEWED: Duration = 20 * MILLISECOND
"""How much longer the collector may seem to have taken than the exchange: a clock that is slewed runs up to 500 ppm
fast, and exchanges end after half a minute."""

_LAST_INSTANT: Instant = 2**53 - 1

LARGEST_ERROR: Duration = SECOND
"""A run whose instant is less certain than this is void (R1 of the accounts)."""


@dataclass(frozen=True, slots=True)
class Offset:
    """Collector's clock minus the agent's wall clock, and the half width of its error bar; microseconds."""

    offset: Duration
    error: Duration


@dataclass(frozen=True, slots=True)
class Reading:
    """The agent's clocks at one moment: its boot clock, and the offset of its wall clock where that is known."""

    boot: str = ""
    boottime: Duration = 0
    offset: Offset | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """`shift` is the collector's clock minus the boot clock, known to `error` when the boot clock stood at `at`."""

    shift: Duration
    error: Duration
    at: Duration
    boot: str

    @classmethod
    def of_exchange(
        cls, *, boot: str, sent_at: Duration, round_trip: Duration, received_at: Instant, answered_at: Instant
    ) -> Estimate:
        """From one exchange (rule 2). `sent_at` is the boot clock; the other two instants are the collector's clock."""
        way = max(0, round_trip - (answered_at - received_at))
        middle = sent_at + round_trip // 2
        return cls((received_at + answered_at) // 2 - middle, -(-way // 2), middle, boot)

    @staticmethod
    def is_possible(received_at: Instant, answered_at: Instant, round_trip: Duration) -> bool:
        """Whether an exchange can place the collector's clock (rule 6)."""
        return 0 < received_at <= answered_at <= _LAST_INSTANT and answered_at - received_at <= round_trip + _SLEWED

    def error_at(self, boottime: Duration) -> Duration:
        """The half width of the error bar at a reading of the boot clock, before or after (rule 3)."""
        return self.error - (-abs(boottime - self.at) * DRIFT_PPM // 10**6)

    def offset(self, wall: Instant, boottime: Duration) -> Offset:
        """For a moment at which both clocks of the agent were read."""
        return Offset(boottime + self.shift - wall, self.error_at(boottime))


def better(known: Estimate | None, new: Estimate) -> Estimate:
    """Which of two to go by from now on (rules 4 and 5)."""
    if known is None or known.boot != new.boot:
        return new
    error = known.error_at(new.at)
    if new.error <= error or abs(new.shift - known.shift) > error + new.error:
        return new
    return known
