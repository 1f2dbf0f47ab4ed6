"""How long an answer takes: drawn from a lognormal, the usual shape of service times (many near the median, a
long tail above, never below zero)."""

from __future__ import annotations

import math
from typing import Protocol


class LognormalSource(Protocol):
    """The part of `random.Random` that a latency is drawn with."""

    def lognormvariate(self, mu: float, sigma: float) -> float: ...


class Latency:
    """Latencies with a given median. The same source in the same state gives the same sequence."""

    def __init__(self, source: LognormalSource, *, median_ms: float, sigma: float) -> None:
        self._source = source
        self._mu = math.log(median_ms / 1000) if median_ms > 0 else None
        self._sigma = sigma

    def draw(self) -> float:
        """The next latency, in seconds. Always 0.0 when the median is 0."""
        if self._mu is None:
            return 0.0
        return self._source.lognormvariate(self._mu, self._sigma)
