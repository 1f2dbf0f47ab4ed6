"""A clause of the agreement with its target, and everything about it that another agreement may set otherwise.

Limit, share, strictness, period, slice, quorum, regions, composition, notice, cap, view and coverage floor are
parameters of a guarantee, never constants of the program: the same rules serve the network's own agreement and the CAQH
CORE profile.

Which periods a clause is judged over
-------------------------------------
1. Where a statement's period is one of the clause's own, it is judged over that.
2. Where the clause's own periods are shorter, and the statement is about whole days of the zone, it is judged over each
   that ends within the statement's period, whole, though it may begin before; so each of them belongs to one statement.
   One that has not begun yet is left out.
3. A rolling clause is judged over its last days up to the end of the statement's period; while that runs, up to the
   last instant that can be judged yet.
4. Where they are longer, or the statement is about any other span ("the last 3 h"), it is judged over just that, which
   is then marked as not the clause's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from fractions import Fraction
from zoneinfo import ZoneInfo

from outrider.core.intervals import Interval
from outrider.core.maintenance import Announcement, Cap
from outrider.core.outcome import STANDINGS, OutcomeClass, Standing
from outrider.core.period import Calendar, PeriodKind
from outrider.core.units import DAY, HOUR, MINUTE, SECOND, Duration, Instant, format_duration

LONGEST_ROLLING: Duration = 366 * DAY


class Measure(StrEnum):
    """What the clause is about."""

    AVAILABILITY = "availability"
    RESPONSE_TIME = "response_time"


class View(StrEnum):
    """Whether a partner's failure is held against the network (end to end) or not (network)."""

    NETWORK = "network"
    END_TO_END = "end_to_end"


class Composite(StrEnum):
    """How several checks are one service: each is judged and the worst stands; it is up where all are; where any is."""

    WORST = "worst"
    ALL = "all"
    ANY = "any"


class ParameterError(ValueError):
    """A parameter that cannot be, or that contradicts another; `parameter` is its name."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class OwnPeriod:
    """One of a clause's own periods; `label` is how a statement of it is asked for, or that it rolls."""

    label: str
    span: Interval


@dataclass(frozen=True, slots=True)
class Guarantee:
    """One clause. Durations in microseconds. Raises ParameterError where the parameters contradict each other.

    target: the share that must be reached, or exceeded where `strict`.
    limit: RESPONSE_TIME only; a transaction counts when it took this long or less.
    quorum: the service is down in a slice when more than this share of the regions with data is down.
    notice: how long before its start a window must be announced to excuse anything.
    emergency_notice: the same for emergency maintenance; None where that excuses nothing.
    windows_excuse: false where the agreement counts scheduled downtime too.
    coverage_floor: below it, met becomes inconclusive.
    regions: those that must speak, and the only ones that count; empty for whoever is heard of.
    rolling: the length of a ROLLING period, whole days.
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
    rolling: Duration | None = None
    regions: tuple[str, ...] = ()
    composite: Composite = Composite.WORST
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    standings: Mapping[OutcomeClass, Standing] = field(default_factory=lambda: dict(STANDINGS))

    def __post_init__(self) -> None:
        for parameter, is_right, message in self._requirements():
            if not is_right:
                raise ParameterError(parameter, f"{self.id}: {message}")

    def _requirements(self) -> Iterator[tuple[str, bool, str]]:
        """Each parameter, whether it can be, and what is said where it cannot."""
        is_timed, is_rolling = self.measure is Measure.RESPONSE_TIME, self.period is PeriodKind.ROLLING
        reachable = 0 < self.target < 1 or (self.target == 1 and not self.strict)
        yield "target", reachable, f"a target of {self.target} cannot be reached; it is a share of 1"
        yield (
            "limit",
            is_timed == (self.limit is not None),
            "a limit belongs to a response_time guarantee, and no other",
        )
        yield "limit", self.limit is None or self.limit > 0, "the limit must be longer than nothing"
        yield "checks", bool(self.checks), "an empty list covers no check; leave it out for all of them"
        # Offsets of time zones are whole quarters of an hour: only so does every period begin with a slice.
        fits = self.slice > 0 and not (15 * MINUTE) % self.slice
        yield "slice", fits, "a slice must divide 15 minutes, or it would straddle the edges of periods"
        yield "quorum", 0 < self.quorum < 1, f"a quorum of {self.quorum} is not between 0 and 1"
        yield "notice", self.notice >= 0, "the notice must not be negative"
        yield (
            "coverage_floor",
            0 <= self.coverage_floor <= 1,
            "the coverage floor must not be negative, nor above 100 %",
        )
        yield (
            "cap",
            self.cap is None or self.cap > 0,
            "a cap of nothing lets no window excuse; say windows_excuse: false",
        )
        yield "cap", self.cap is None or not is_rolling, "a cap is for each period, and a rolling one has no beginning"
        yield "regions", len(set(self.regions)) == len(self.regions), "a region is listed twice"
        pooled = "composite is about up and down; a response_time guarantee pools the runs of all its checks"
        yield "composite", self.composite is Composite.WORST or not is_timed, pooled
        days = self.rolling is None or (not self.rolling % DAY and 0 < self.rolling <= LONGEST_ROLLING)
        yield "period", is_rolling == (self.rolling is not None), "a rolling period has a length, and no other has one"
        yield "period", days, "a rolling period is 1d to 366d long, in whole days"
        # Runs under an untrusted clock, and in flight where that voids them, are put down as agent_fault.
        is_void = self.standings.get(OutcomeClass.AGENT_FAULT, Standing.VOID) is Standing.VOID
        yield "counts", is_void, "what was the agent's own fault (agent_fault) is void, and counts as nothing"
        emergency = self.emergency_notice is None or 0 <= self.emergency_notice <= self.notice
        yield (
            "emergency_notice",
            emergency,
            "emergency_notice is at least 0s, and at most the notice of what is planned",
        )

    def covers(self, check: str) -> bool:
        """Whether the check is in this clause's scope."""
        return any(fnmatchcase(check, pattern) for pattern in self.checks)

    def hears(self, region: str) -> bool:
        """Whether runs from this region count."""
        return not self.regions or region in self.regions

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
    def period_name(self) -> str:
        """ "month", "week", "day", "rolling 30d"."""
        return str(self.period) if self.rolling is None else f"rolling {format_duration(self.rolling)}"

    def own_periods(self, span: Interval, until: Instant) -> tuple[OwnPeriod, ...]:
        """The periods of its own that a statement about `span` judges it over, where what is before `until` can be
        judged; none where it is judged over the span itself (rules 1 and 4), or none has begun."""
        if self.rolling is not None:
            end = min(span.end, until)
            return (OwnPeriod(self.period_name, Interval(end - self.rolling, end)),) if end > span.start else ()
        calendar, days = self.calendar, Calendar(PeriodKind.DAY, self.zone)
        if any(days.containing(edge).start != edge for edge in (span.start, span.end)):
            return ()
        return tuple(
            OwnPeriod(calendar.label(each), each)
            for each in calendar.overlapping(span)
            if each.end <= span.end and each.length < span.length and each.start < until
        )

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
