"""A clause of the agreement with its target, and everything about it that another agreement may set otherwise.

Limit, share, strictness, period, slice, quorum, notice, cap, view and coverage floor are parameters of a guarantee,
never constants of the program: the same rules serve the network's own agreement and the CAQH CORE profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from fractions import Fraction
from zoneinfo import ZoneInfo

from outrider.core.intervals import Interval
from outrider.core.maintenance import Announcement, Cap
from outrider.core.outcome import STANDINGS, OutcomeClass, Standing
from outrider.core.period import Calendar, PeriodKind
from outrider.core.units import HOUR, MINUTE, SECOND, Duration, Instant


class Measure(StrEnum):
    """What the clause is about."""

    AVAILABILITY = "availability"
    RESPONSE_TIME = "response_time"


class View(StrEnum):
    """Whether a partner's failure is held against the network (end to end) or not (network)."""

    NETWORK = "network"
    END_TO_END = "end_to_end"


@dataclass(frozen=True, slots=True)
class Guarantee:
    """One clause. Durations in microseconds. Raises ValueError where the parameters contradict each other.

    target: the share that must be reached, or exceeded where `strict`.
    limit: RESPONSE_TIME only; a transaction counts when it took this long or less.
    quorum: the service is down in a slice when more than this share of the regions with data is down.
    notice: how long before its start a window must be announced to excuse anything.
    emergency_notice: the same for emergency maintenance; None where that excuses nothing.
    windows_excuse: false where the agreement counts scheduled downtime too.
    coverage_floor: below it, met becomes inconclusive.
    """

    id: str
    title: str
    measure: Measure
    target: Fraction
    strict: bool = False
    limit: Duration | None = None
    checks: tuple[str, ...] = ("*",)
    slice: Duration = 60 * SECOND
    quorum: Fraction = Fraction(1, 2)
    notice: Duration = 72 * HOUR
    emergency_notice: Duration | None = None
    windows_excuse: bool = True
    cap: Duration | None = None
    void_inflight: bool = False
    view: View = View.NETWORK
    coverage_floor: Fraction = Fraction(0)
    period: PeriodKind = PeriodKind.MONTH
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    standings: Mapping[OutcomeClass, Standing] = field(default_factory=lambda: dict(STANDINGS))

    def __post_init__(self) -> None:
        if not 0 < self.target <= 1 or (self.strict and self.target == 1):
            raise ValueError(f"{self.id}: a target of {self.target} cannot be reached; it is a share of 1")
        if (self.measure is Measure.RESPONSE_TIME) != (self.limit is not None):
            raise ValueError(f"{self.id}: a limit belongs to a response_time guarantee, and to no other")
        if self.limit is not None and self.limit <= 0:
            raise ValueError(f"{self.id}: the limit must be longer than nothing")
        if self.slice <= 0 or (15 * MINUTE) % self.slice:
            # Offsets of time zones are whole quarters of an hour: only so does every period begin with a slice.
            raise ValueError(f"{self.id}: a slice must divide 15 minutes, or it would straddle the edges of periods")
        if not 0 < self.quorum < 1:
            raise ValueError(f"{self.id}: a quorum of {self.quorum} is not between 0 and 1")
        if self.notice < 0 or not 0 <= self.coverage_floor <= 1:
            raise ValueError(f"{self.id}: notice and coverage_floor must not be negative, nor the floor above 100 %")
        if self.emergency_notice is not None and not 0 <= self.emergency_notice <= self.notice:
            raise ValueError(f"{self.id}: emergency_notice is at least 0s, and at most the notice of what is planned")

    def covers(self, check: str) -> bool:
        """Whether the check is in this clause's scope."""
        return any(fnmatchcase(check, pattern) for pattern in self.checks)

    def notice_for(self, window: Announcement) -> Duration | None:
        """How long before its start such a window must be announced; None where it excuses nothing in any case."""
        if not self.windows_excuse:
            return None
        return self.emergency_notice if window.emergency else self.notice

    def standing(self, outcome: OutcomeClass) -> Standing:
        """How a run of this class counts here: GOOD, BAD, VOID, or PARTNER where the view leaves it out of S."""
        standing = self.standings.get(outcome, STANDINGS[outcome])
        if standing is Standing.PARTNER and self.view is View.END_TO_END:
            return Standing.BAD
        return standing

    @property
    def left_to_partners(self) -> frozenset[OutcomeClass]:
        """The classes that the two views count differently."""
        standings = {**STANDINGS, **self.standings}
        return frozenset(each for each, standing in standings.items() if standing is Standing.PARTNER)

    @property
    def named_checks(self) -> frozenset[str]:
        """Checks that the clause names outright, without a pattern: they belong to it, heard of or not."""
        return frozenset(each for each in self.checks if not set(each) & set("*?["))

    @property
    def calendar(self) -> Calendar:
        return Calendar(self.period, self.zone)

    @property
    def excuse_cap(self) -> Cap | None:
        return None if self.cap is None else Cap(self.cap, self.calendar.overlapping)


@dataclass(frozen=True, slots=True)
class KnownExpiry:
    """A span in which a credential of ours was known to have expired, for the checks that these patterns name."""

    checks: tuple[str, ...]
    span: Interval

    def covers(self, check: str) -> bool:
        return any(fnmatchcase(check, pattern) for pattern in self.checks)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The guarantees that were promised together. Raises ValueError when two share an id or none is there.

    Nothing before `in_force_from` is measured, where it is given: silence before an agreement began is no silence.
    """

    name: str
    guarantees: tuple[Guarantee, ...]
    zone: ZoneInfo
    in_force_from: Instant | None = None

    def __post_init__(self) -> None:
        ids = [guarantee.id for guarantee in self.guarantees]
        if not ids or len(set(ids)) != len(ids):
            raise ValueError(f"agreement {self.name!r} needs guarantees with ids of their own, got {ids}")
