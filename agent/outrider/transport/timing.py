"""Which phase an exchange is in, and how long each one took."""

from __future__ import annotations

from outrider.clock import Clock
from outrider.core.units import Duration
from outrider.core.wire import Phases

_PHASES = ("resolve", "connect", "tls", "send", "wait", "receive")


class Stopwatch:
    """Runs from birth, in phase "connect"; entering the phase it is in changes nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.began = self._since = clock.monotonic()
        self.phase = "connect"
        self._spent = dict.fromkeys(_PHASES, 0)

    def enter(self, phase: str) -> None:
        now = self._clock.monotonic()
        self._spent[self.phase] += now - self._since
        self.phase, self._since = phase, now

    def stop(self) -> tuple[Phases, Duration]:
        """The time of each phase, and of all."""
        self.enter(self.phase)
        return Phases(**self._spent), self._since - self.began
