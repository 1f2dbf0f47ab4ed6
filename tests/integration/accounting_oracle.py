"""The rules of the accounts (docs/accounting.md) once more, slow and obvious, to hold the product against.

Nothing here is taken from the code that makes statements: every instant, slice and sample is looked at by itself, and
shares are fractions of whole numbers. Sets of instants are lists of (start, end), half-open, sorted, not touching.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from fractions import Fraction
from itertools import pairwise
from typing import TypeAlias

from outrider.core.guarantee import Guarantee, View
from outrider.core.maintenance import Act, Announcement
from outrider.core.outcome import OutcomeClass, Standing
from outrider.core.wire import RunRecord

SECOND = 1_000_000
SEVEN_DAYS = 7 * 24 * 3600 * SECOND

Spans: TypeAlias = list[tuple[int, int]]


@dataclass(frozen=True)
class Recorded:
    """A run, and when the collector recorded it."""

    run: RunRecord
    recorded_at: int

    @property
    def sent_at(self) -> int:
        return self.run.started_at + (self.run.clock_offset or 0)

    @property
    def speaks_until(self) -> int:
        return self.run.scheduled_at + self.run.interval + (self.run.clock_offset or 0)


@dataclass(frozen=True)
class World:
    """All there is to know. `periods` names the calendar period that an instant belongs to, as (start, end). `scope` is
    who was heard of, where that is told and not found."""

    guarantee: Guarantee
    start: int
    end: int
    as_of: int
    settle: int
    runs: Sequence[Recorded]
    announcements: Sequence[Announcement]
    expiries: Sequence[tuple[str, int, int]]
    periods: Callable[[int], tuple[int, int]]
    scope: dict[str, set[str]] | None = None


@dataclass
class Counted:
    """One check: its slices, its samples."""

    up: int = 0
    down: int = 0
    unknown: int = 0
    excused: int = 0
    good: int = 0
    bad: int = 0
    void: int = 0
    coverage: dict[str, int] = field(default_factory=dict)
    down_slices: list[int] = field(default_factory=list)
    shares: list[Fraction] = field(default_factory=list)


def measured(world: World) -> tuple[int, int] | None:
    end = min(world.end, (world.as_of - world.settle) // world.guarantee.slice * world.guarantee.slice)
    return (world.start, end) if end > world.start else None


# --- what is excused (R5 to R7) --------------------------------------------------------------------------------------


def _contains(version: Announcement, check: str, instant: int) -> bool:
    in_scope = any(fnmatchcase(check, pattern) for pattern in version.scope)
    return in_scope and version.act is not Act.CANCEL and version.start <= instant < version.end


def _is_excused_by(history: Sequence[Announcement], notice: int, check: str, instant: int) -> bool:
    """R5, read aloud."""
    latest = history[-1]
    deadline = latest.start - notice
    replaced_at = [*(each.recorded_at for each in history[1:]), None]
    at_the_deadline = False
    for version, until in zip(history, replaced_at, strict=True):
        never = until is not None and until <= version.recorded_at
        if never or version.recorded_at > instant or (until is not None and until <= deadline):
            continue  # it was not in force at any moment from the deadline to this instant
        if version.recorded_at <= deadline:
            at_the_deadline = True
        if not _contains(version, check, instant):
            return False
    return at_the_deadline and _contains(latest, check, instant)


def excused(world: World, check: str) -> Spans:
    guarantee = world.guarantee
    if not guarantee.windows_excuse:
        return []
    windows: dict[str, list[Announcement]] = {}
    for each in sorted(world.announcements, key=lambda a: (a.recorded_at, a.version)):
        if each.recorded_at <= world.as_of:
            windows.setdefault(each.window, []).append(each)
    moments = {m for each in world.announcements for m in (each.start, each.end, each.recorded_at)}
    if not moments:
        return []
    at = min(moments)
    while at < max(moments):
        at = world.periods(at)[1]
        moments.add(at)
    edges = sorted(moments)
    spans: Spans = []
    left: dict[tuple[int, int], int] = {}
    for start, end in pairwise(edges):
        if not any(_is_excused_by(history, guarantee.notice, check, start) for history in windows.values()):
            continue
        if guarantee.cap is not None:
            budget = left.setdefault(world.periods(start), guarantee.cap)
            end = min(end, start + budget)  # noqa: PLW2901 - what the cap leaves of it
            left[world.periods(start)] -= end - start
        if end > start:
            spans.append((start, end))
    return merged(spans)


def merged(spans: Iterable[tuple[int, int]]) -> Spans:
    made: Spans = []
    for start, end in sorted(spans):
        if made and start <= made[-1][1]:
            made[-1] = (made[-1][0], max(end, made[-1][1]))
        else:
            made.append((start, end))
    return made


def inside(spans: Spans, instant: int) -> bool:
    return any(start <= instant < end for start, end in spans)


# --- samples (R1, R2, R8) --------------------------------------------------------------------------------------------


def known_runs(world: World) -> list[Recorded]:
    return [
        each
        for each in world.runs
        if each.run.purpose == "probe" and each.recorded_at <= world.as_of and world.guarantee.covers(each.run.check)
    ]


def standing(world: World, each: Recorded, windows: Spans = ()) -> Standing:  # type: ignore[assignment]
    """`windows` where the agreement voids BAD runs in flight when one opens."""
    run = each.run
    if run.clock_error is None or run.clock_error > SECOND:
        return Standing.VOID
    found = world.guarantee.standings[OutcomeClass(run.outcome)]
    if found is Standing.PARTNER and world.guarantee.view is View.END_TO_END:
        found = Standing.BAD
    in_flight = any(each.sent_at < opens <= each.sent_at + run.latency for opens, _ in windows)
    return Standing.VOID if found is Standing.BAD and in_flight and world.guarantee.void_inflight else found


def in_scope(world: World) -> dict[str, set[str]]:
    """check -> regions: whoever was heard of in the measured time or the week before it."""
    span = measured(world)
    assert span is not None
    if world.scope is not None:
        return world.scope
    found: dict[str, set[str]] = {check: set() for check in world.guarantee.named_checks}
    for each in known_runs(world):
        if span[0] - SEVEN_DAYS <= each.sent_at < span[1]:
            found.setdefault(each.run.check, set()).add(each.run.region)
    return found


# --- availability (R3, R4, R6) ---------------------------------------------------------------------------------------


def availability(world: World, check: str, *, raw: bool) -> Counted:
    span = measured(world)
    assert span is not None
    length = world.guarantee.slice
    windows = [] if raw else excused(world, check)
    known = [
        each
        for each in known_runs(world)
        if each.run.check == check and not inside(windows, each.sent_at) and each.sent_at < span[1]
    ]
    voiding = [] if raw else windows
    made = Counted(coverage=dict.fromkeys(in_scope(world)[check], 0))
    fives: dict[int, list[int]] = {}
    for number in range(-(-span[0] // length), span[1] // length):
        start, end = number * length, (number + 1) * length
        if any(opens <= start and end <= closes for opens, closes in windows):
            made.excused += 1
            continue
        here = [each for each in known if start <= each.sent_at < end]
        standings = [standing(world, each, voiding) for each in here]
        good = sum(each in (Standing.GOOD, Standing.PARTNER) for each in standings)
        bad, void = standings.count(Standing.BAD), standings.count(Standing.VOID)
        made.good, made.bad, made.void = made.good + good, made.bad + bad, made.void + void
        if good + bad:
            five = fives.setdefault(start // (300 * SECOND), [0, 0])
            five[0], five[1] = five[0] + good, five[1] + good + bad
        _judge(world, check, number, known, windows, voiding, made)
    if (300 * SECOND) % length == 0:
        made.shares = sorted(Fraction(good, total) for good, total in fives.values())
    return made


_Says: TypeAlias = tuple[bool, bool, bool]  # has data, most of it BAD, refused and saw nothing good


def _judge(
    world: World, check: str, number: int, known: list[Recorded], windows: Spans, voiding: Spans, made: Counted
) -> None:
    length = world.guarantee.slice
    regions = sorted({each.run.region for each in known})
    said = {region: _says(world, region, number, known, windows, voiding) for region in regions}
    for region, (has_data, _, _) in said.items():
        made.coverage[region] = made.coverage.get(region, 0) + has_data
    with_data = [region for region, (has_data, _, _) in said.items() if has_data]
    down = [region for region in with_data if said[region][1]]
    refused = [region for region, (_, _, is_refused) in said.items() if is_refused]
    failing = [region for region, (_, is_bad, is_refused) in said.items() if is_bad or is_refused]
    touched = [
        each.run.region
        for each in known
        if number * length <= each.sent_at < (number + 1) * length and _is_refusal(world, each, voiding)
    ]
    everyone = {*with_data, *refused, *touched}
    expired = any(
        fnmatchcase(check, pattern) and opens < (number + 1) * length and closes > number * length
        for pattern, opens, closes in world.expiries
    )
    is_down = len(with_data) >= 2 and Fraction(len(down), len(with_data)) > world.guarantee.quorum
    is_up = len(with_data) >= 2 and not is_down
    if len(with_data) == 1:
        is_up = not down
    if len(refused) >= 2 and everyone == set(failing) and not expired:
        is_down, is_up = True, False
    made.up, made.down = made.up + is_up, made.down + is_down
    made.unknown += not is_up and not is_down
    if is_down:
        made.down_slices.append(number)


def _is_refusal(world: World, each: Recorded, voiding: Spans) -> bool:
    trusted = each.run.clock_error is not None and each.run.clock_error <= SECOND
    return trusted and each.run.outcome == OutcomeClass.PROBE_FAULT


def _says(world: World, region: str, number: int, known: list[Recorded], windows: Spans, voiding: Spans) -> _Says:
    """What a region says in a slice: by its own runs, or by the last ones that speak for it."""
    length = world.guarantee.slice
    mine = [
        each
        for each in known
        if each.run.region == region
        and each.sent_at < (number + 1) * length
        and (standing(world, each, voiding) is not Standing.VOID or _is_refusal(world, each, voiding))
    ]
    if not mine:
        return False, False, False
    spoke_in = max(each.sent_at // length for each in mine)
    last = [each for each in mine if each.sent_at // length == spoke_in]
    if spoke_in < number:
        until = max((each.speaks_until for each in last if each.run.interval > length), default=0)
        spoken_at = max(each.sent_at for each in last)
        edges = {edge for span in windows for edge in span}
        if number >= until // length or any(spoken_at < edge < (number + 1) * length for edge in edges):
            return False, False, False
    standings = [standing(world, each, voiding) for each in last]
    good = sum(each in (Standing.GOOD, Standing.PARTNER) for each in standings)
    total = good + standings.count(Standing.BAD)
    is_refused = good == 0 and any(_is_refusal(world, each, voiding) for each in last)
    return total > 0, 2 * good < total, is_refused


def verdict(counted: Counted, guarantee: Guarantee) -> str:
    if not counted.good + counted.bad and not (counted.down and counted.void):
        return "no data"
    all_of_them = counted.up + counted.down + counted.unknown
    low, high = Fraction(counted.up, all_of_them), Fraction(counted.up + counted.unknown, all_of_them)
    if reaches(low, guarantee):
        thin = min((Fraction(n, all_of_them) for n in counted.coverage.values()), default=Fraction(0))
        return "inconclusive" if thin < guarantee.coverage_floor else "met"
    return "inconclusive" if reaches(high, guarantee) else "missed"


def reaches(share: Fraction, guarantee: Guarantee) -> bool:
    return share > guarantee.target if guarantee.strict else share >= guarantee.target


def worst(verdicts: Iterable[str]) -> str:
    found = set(verdicts)
    return next((each for each in ("missed", "inconclusive", "no data", "met") if each in found), "no data")


# --- response time (G3) ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timed:
    within: int
    latencies: tuple[int, ...]
    bad: int
    partner: int
    void: int

    @property
    def share(self) -> Fraction | None:
        n = len(self.latencies) + self.bad
        return Fraction(self.within, n) if n else None

    @property
    def p90(self) -> int | None:
        """The smallest time that at least nine tenths of all do not exceed; None is infinity, or nothing."""
        n = len(self.latencies) + self.bad
        for latency in sorted(self.latencies):
            if 10 * sum(each <= latency for each in self.latencies) >= 9 * n:
                return latency
        return None

    @property
    def fastest_mean(self) -> Fraction | None:
        n = 9 * (len(self.latencies) + self.bad) // 10
        return Fraction(sum(sorted(self.latencies)[:n]), n) if 0 < n <= len(self.latencies) else None


def response(world: World, *, raw: bool) -> Timed:
    span = measured(world)
    assert span is not None
    limit = world.guarantee.limit
    assert limit is not None
    taken_out: Mapping[str, Spans] = {check: [] if raw else excused(world, check) for check in in_scope(world)}
    latencies: list[int] = []
    counts = dict.fromkeys(Standing, 0)
    for each in known_runs(world):
        windows = taken_out.get(each.run.check, [])
        if span[0] <= each.sent_at < span[1] and not inside(windows, each.sent_at):
            found = standing(world, each, windows)
            counts[found] += 1
            if found is Standing.GOOD:
                latencies.append(each.run.latency)
    within = sum(latency <= limit for latency in latencies)
    return Timed(within, tuple(latencies), counts[Standing.BAD], counts[Standing.PARTNER], counts[Standing.VOID])


# --- runs near an edge -----------------------------------------------------------------------------------------------


def counts_at(world: World, check: str, instant: int) -> tuple[bool, bool]:
    """Whether an instant is in what is judged, and whether it is excused there."""
    span = measured(world)
    assert span is not None
    return span[0] <= instant < span[1], inside(excused(world, check), instant)


def uncertain(world: World) -> list[tuple[Recorded, int]]:
    """The runs that may have been sent on the other side of an edge, with that edge: where an instant counts, and the
    one before does not, or the other way round. While a period runs, what is judged of it has no end yet."""
    span = measured(world)
    assert span is not None
    found = []
    counted = {Standing.GOOD, Standing.BAD}
    if world.guarantee.limit is None:
        counted.add(Standing.PARTNER)
    for each in known_runs(world):
        check = each.run.check
        if check not in in_scope(world) or standing(world, each) not in counted:
            continue
        error = each.run.clock_error or 0
        possible = {at for pair in excused(world, check) for at in pair} | {span[0]}
        if span[1] == world.end:
            possible.add(span[1])
        near = []
        for edge in possible:
            (was_judged, was_excused), (is_judged, is_excused) = (
                counts_at(world, check, at) for at in (edge - 1, edge)
            )
            if (was_judged and not was_excused) == (is_judged and not is_excused):
                continue
            reaches_it = each.sent_at + error >= edge if each.sent_at < edge else each.sent_at - error < edge
            if reaches_it:
                near.append((abs(each.sent_at - edge), edge))
        if near:
            found.append((each, min(near)[1]))
    return found


def on_the_other_side(world: World) -> World:
    """The other reading: each such run just across its edge."""
    moved = {}
    for each, edge in uncertain(world):
        to = edge if each.sent_at < edge else edge - 1
        moved[id(each)] = Recorded(
            replace(each.run, started_at=each.run.started_at + to - each.sent_at), each.recorded_at
        )
    return replace(world, runs=[moved.get(id(each), each) for each in world.runs], scope=in_scope(world))
