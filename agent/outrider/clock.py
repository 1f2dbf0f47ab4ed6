"""The clocks of this process: the only place that reads the time.

Everything else takes a `Clock`. Wall time says when something happened, monotonic time how long it took; neither
stands in for the other.
"""

from __future__ import annotations

import time
from typing import Protocol

from outrider.core.units import Duration, Instant


class Clock(Protocol):
    """Both in whole microseconds; monotonic readings have no meaning of their own, only their differences do."""

    def now(self) -> Instant: ...

    def monotonic(self) -> Duration: ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Instant:
        return time.time_ns() // 1000  # noqa: TID251 - this is the edge

    def monotonic(self) -> Duration:
        return time.monotonic_ns() // 1000  # noqa: TID251 - this is the edge
