"""The collector's clock, held while it is far ahead of the time that passed, since no stamp is ever taken back.

Rules
-----
1. The wall clock is compared with the machine's boot clock, which nobody sets, and which goes on while it sleeps.
   What one of them gained on the other since the last reading is a step of the wall clock.
2. A step of more than FARTHEST_AHEAD forward is not followed: until the clock is right again there is no time, so
   nothing is stamped, taken in or stated, and agents keep their results. Stamps never go backwards, so one that was
   given in the future would hold for all that come after it.
3. Whether the clock was wrong before the step, or is wrong now, no program can know: a collector that is started anew
   takes the clock as it finds it. That is the operator's word.
4. A smaller step, and any step backwards, is followed; more than a second is logged.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from outrider.clock import MachineClock
from outrider.core.units import MINUTE, SECOND, Duration, Instant, format_duration, format_instant
from outrider_collector.store import StoreFailedError

FARTHEST_AHEAD: Duration = 10 * MINUTE
_WORTH_SAYING: Duration = SECOND
_log = logging.getLogger("outrider.clock")


class ClockAheadError(StoreFailedError):
    """The machine's clock went ahead further than a clock is followed. Nothing was kept."""


class HeldClock:
    """A `Clock` for the whole process; safe to ask from several threads."""

    def __init__(self, clock: MachineClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._shift = self._read()[1]
        self._is_held = False
        self.ahead: Duration = 0
        """How far the clock was ahead when it was last asked; 0 while it is followed."""
        self.steps = 0
        """How many steps of more than a second were seen."""

    def _read(self) -> tuple[Instant, Duration]:
        """The wall clock, and how far it is from the boot clock."""
        now = self._clock.now()
        return now, now - self._clock.boottime()

    def now(self) -> Instant:
        """Raises ClockAheadError."""
        with self._lock:
            now, shift = self._read()
            step = shift - self._shift
            if step > FARTHEST_AHEAD:
                self.ahead = step
                error = ClockAheadError(
                    f"the clock of this machine went ahead by {format_duration(step)} more than time passed, to "
                    f"{format_instant(now)}; nothing is taken in or stamped until it is right again. If it is right "
                    f"now, start the collector anew"
                )
                self._tell(error)
                raise error
            if abs(step) > _WORTH_SAYING:
                self.steps += 1
                _log.warning("the clock of this machine was set by %+.3f s; it is followed", step / SECOND)
            if self._is_held:
                _log.warning("the clock of this machine is right again")
            self._shift, self.ahead, self._is_held = shift, 0, False
            return now

    def _tell(self, error: ClockAheadError) -> None:
        """Once for each time that it is held."""
        if not self._is_held:
            self._is_held = True
            self.steps += 1
            _log.error("%s", error)

    def monotonic(self) -> Duration:
        return self._clock.monotonic()


class ClockMetrics(Collector):
    """What a scrape is told of it."""

    def __init__(self, clock: HeldClock) -> None:
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "outrider_collector_clock_ahead_seconds",
            "How far the machine's clock went ahead of the time that passed, while it is not followed",
            value=self._clock.ahead / SECOND,
        )
        yield CounterMetricFamily(
            "outrider_collector_clock_steps",
            "Steps of the machine's clock of more than a second",
            value=self._clock.steps,
        )
