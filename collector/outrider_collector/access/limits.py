"""Token buckets: so much a second for each key, and ten seconds' worth at once after a rest.

What is taken may overdraw a bucket that is not empty, so that a batch of any size goes through in the end; the rate
holds on average. Buckets that are full again are forgotten: an attacker with many names costs a bounded memory.
"""

from __future__ import annotations

from collections import OrderedDict

from outrider.clock import Clock
from outrider.core.units import SECOND

SAVED_S = 10
MOST_KEYS = 10_000


class Buckets:
    """One bucket for each key, all of one size. Not for use from several threads."""

    def __init__(self, clock: Clock, rate: float, burst: float | None = None) -> None:
        """`rate` a second; `burst` at once, ten seconds' worth without."""
        self._clock = clock
        self._rate = rate
        self._burst = rate * SAVED_S if burst is None else burst
        self._levels: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Seconds until something can be taken; 0 where it can be now."""
        level = self._level(key)
        return 0.0 if level > 0 else max(-level / self._rate, 1 / self._rate)

    def take(self, key: str, amount: float = 1.0) -> float:
        """Take it, or the seconds until it can be; then nothing was taken."""
        if wait := self.wait(key):
            return wait
        self._levels[key] = self._level(key) - amount, self._clock.monotonic()
        self._levels.move_to_end(key)
        if len(self._levels) > MOST_KEYS:
            self._levels.popitem(last=False)
        return 0.0

    def forget(self, key: str) -> None:
        """Fill a bucket."""
        self._levels.pop(key, None)

    def _level(self, key: str) -> float:
        level, at = self._levels.get(key, (self._burst, 0))
        return min(self._burst, level + (self._clock.monotonic() - at) / SECOND * self._rate)
