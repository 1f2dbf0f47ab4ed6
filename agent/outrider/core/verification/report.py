"""What a verification says: values, and words for durations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from outrider.core.compare import Comparison
from outrider.core.maintenance import Announcement
from outrider.core.units import SECOND, Duration, Instant, format_duration

RUNNING = 3
"""Good runs in a row that part trouble from what is well again."""


class Clearance(StrEnum):
    """How a window is judged (rule 5)."""

    ALL_CLEAR = "all clear"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Notice:
    """What a guarantee asks for and what was given (us; negative where the window was recorded after its start).
    Nothing is required (None) of emergency maintenance that excuses nothing anyway."""

    guarantee: str
    required: Duration | None
    given: Duration

    @property
    def margin(self) -> Duration | None:
        return None if self.required is None else self.given - self.required


@dataclass(frozen=True, slots=True)
class Baseline:
    """How many runs there are before the window, and how many are missing."""

    check: str
    region: str
    runs: int
    missing: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Bad runs: the first and the last one sent, and how many. `early` and `over`: how long before the window's start
    and after its end (us, 0 for within)."""

    check: str
    region: str
    first: Instant
    last: Instant
    runs: int
    early: Duration = 0
    over: Duration = 0


class Bystanding(StrEnum):
    """What became of a check out of scope. Silence is not read as up."""

    UP = "stayed up"
    DOWN = "did not stay up"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True)
class Back:
    """Whether a check is good again: of its last three runs after the window, how many there are, and the good ones
    since the last bad one."""

    check: str
    region: str
    runs: int
    good_running: int

    @property
    def is_back(self) -> bool:
        return self.good_running >= RUNNING


@dataclass(frozen=True, slots=True)
class Verification:
    """The report."""

    latest: Announcement
    as_of: Instant
    notices: tuple[Notice, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    bystanders: tuple[tuple[str, Bystanding], ...] = ()
    disturbed: tuple[Trouble, ...] = ()
    back: tuple[Back, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    failures: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def clearance(self) -> Clearance:
        if self.failures:
            return Clearance.FAILED
        return Clearance.INCONCLUSIVE if self.pending or self.missing else Clearance.ALL_CLEAR


def told(duration: Duration) -> str:
    """For people: whole seconds, rounded up; what is not nothing is not shown as nothing."""
    return format_duration(-(-duration // SECOND) * SECOND)
