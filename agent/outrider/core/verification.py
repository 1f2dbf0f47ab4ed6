"""Window verification: did a maintenance window go as it was announced, and is the service what it was before?

Rules
-----
1. The facts are ordinary runs, sorted by instant, GOOD or BAD. VOID runs and those that a partner failed say nothing
   about the maintenance: whoever gathers the facts leaves them out, and those that fell into another window.
2. Before: under each guarantee, the version that first held the whole window as it stands came early enough; and each
   check and region in scope has a baseline of enough runs.
3. During: trouble belongs to the window as long as no three good runs running part it from the window. Of it nothing
   may lie outside. A check out of scope stayed up unless a region saw two bad runs running.
4. After: the last three runs of each check and region in scope are good, and response times are not slower than before
   (`core.compare`). Trouble that belongs to the window is left out of both sides.
5. What went wrong is `failures`; what is not known yet, `pending`; what will never be known, `missing`. The verdict is
   failed, inconclusive or all clear, in this order.
6. Silence is no good run: a check and region that ran before and say nothing after are pending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeAlias

from outrider.core.compare import FAILED, Change, Comparison, Series, Settings, compare
from outrider.core.intervals import Interval
from outrider.core.maintenance import Act, Announcement
from outrider.core.units import MINUTE, SECOND, Duration, Instant, format_duration, format_instant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Bools: TypeAlias = NDArray[np.bool_]

RUNNING = 3
"""Good runs in a row that part trouble from what is well again."""

DOWN_RUNNING = 2
"""Bad runs in a row that say that a check out of scope did not stay up."""

BLOCK: Duration = 5 * MINUTE


class Verdict(StrEnum):
    """How a window is judged (rule 5)."""

    ALL_CLEAR = "all clear"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of one check from one region in order: instants and latencies (us), and which of them were BAD. Raises
    ValueError unless there is one of each."""

    at: Ints
    latency: Ints
    is_bad: Bools

    def __post_init__(self) -> None:
        if not len(self.at) == len(self.latency) == len(self.is_bad):
            raise ValueError(f"{len(self.at)} instants, {len(self.latency)} latencies, {len(self.is_bad)} standings")

    def __len__(self) -> int:
        return len(self.at)

    def part(self, start: int, stop: int) -> Runs:
        return Runs(self.at[start:stop], self.latency[start:stop], self.is_bad[start:stop])


@dataclass(frozen=True, slots=True)
class Place:
    """A check as one region saw it around the window; `interval` is how often it runs (us)."""

    check: str
    region: str
    interval: Duration
    before: Runs
    during: Runs
    after: Runs

    @property
    def name(self) -> str:
        return f"{self.check} from {self.region}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a window is judged by. `history` is in the order of recording; `notices` is what each guarantee that windows
    excuse asks for; no run after `closes_at` is looked at. Raises ValueError without a history."""

    history: tuple[Announcement, ...]
    notices: tuple[tuple[str, Duration], ...]
    places: tuple[Place, ...]
    as_of: Instant
    closes_at: Instant

    def __post_init__(self) -> None:
        if not self.history:
            raise ValueError("a window that was never announced cannot be verified")

    @property
    def latest(self) -> Announcement:
        return self.history[-1]


@dataclass(frozen=True, slots=True)
class Notice:
    """What a guarantee asks for and what was given (us; negative where the window was recorded after its start)."""

    guarantee: str
    required: Duration
    given: Duration

    @property
    def is_met(self) -> bool:
        return self.given >= self.required


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
    def verdict(self) -> Verdict:
        if self.failures:
            return Verdict.FAILED
        return Verdict.INCONCLUSIVE if self.pending or self.missing else Verdict.ALL_CLEAR


def verify(facts: Facts, generator: np.random.Generator, settings: Settings | None = None) -> Verification:
    """Judge a window. Pure but for the generator; raises nothing."""
    latest, settings = facts.latest, settings or Settings()
    notices = _notices(facts)
    report = Verification(latest, facts.as_of, notices)
    if latest.act is Act.CANCEL:
        told = f"the window was cancelled {format_instant(latest.recorded_at)}: there is nothing to verify"
        return replace(report, notices=(), missing=(told,))
    inside = [place for place in facts.places if is_in_scope(latest, place.check)]
    outside = [place for place in facts.places if not is_in_scope(latest, place.check)]
    parted = {place.name: _parted(place) for place in inside}
    troubles = tuple(found for place in inside if (found := _trouble(place, latest)))
    disturbed = tuple(found for place in outside if (found := _disturbed(place)))
    report = replace(
        report,
        baselines=tuple(_baseline(place, parted[place.name][0], settings) for place in inside),
        troubles=troubles,
        bystanders=_bystanders(outside, disturbed),
        disturbed=disturbed,
        failures=(*_late(notices), *_outside(troubles), *_not_up(disturbed)),
        missing=(*_unheard(facts, inside, outside),),
    )
    report = _with_baselines_told(report, settings)
    if facts.as_of < latest.end:
        state = "begins" if facts.as_of < latest.start else "ends"
        at = latest.start if facts.as_of < latest.start else latest.end
        return replace(report, pending=(f"the window {state} {format_instant(at)}",))
    report = _with_back(report, facts, inside)
    return _with_comparisons(report, facts, parted, generator, settings)


def is_in_scope(version: Announcement, check: str) -> bool:
    """Whether a version's scope names the check, cancelled or not."""
    return any(fnmatchcase(check, pattern) for pattern in version.scope)


# --- before ----------------------------------------------------------------------------------------------------------


def _notices(facts: Facts) -> tuple[Notice, ...]:
    """Given is the time from the first of the unbroken row of versions that hold the whole window to its start."""
    latest = facts.latest
    whole = Interval(latest.start, latest.end)
    recorded_at = latest.recorded_at
    for version in reversed(facts.history):
        if version.act is Act.CANCEL or version.start > whole.start or version.end < whole.end:
            break
        if version.scope != latest.scope:
            break
        recorded_at = version.recorded_at
    return tuple(Notice(guarantee, required, latest.start - recorded_at) for guarantee, required in facts.notices)


def _late(notices: Sequence[Notice]) -> list[str]:
    return [
        f"{each.guarantee}: announced {told(each.required - each.given)} too late for a notice of {told(each.required)}"
        for each in notices
        if not each.is_met
    ]


def _baseline(place: Place, before: Runs, settings: Settings) -> Baseline:
    return Baseline(place.check, place.region, len(before), max(0, settings.least_runs - len(before)))


def _with_baselines_told(report: Verification, settings: Settings) -> Verification:
    short = tuple(
        f"{each.check} from {each.region}: {each.runs} runs before; {each.missing} are missing to {settings.least_runs}"
        for each in report.baselines
        if each.missing
    )
    return replace(report, missing=(*report.missing, *short))


# --- during ----------------------------------------------------------------------------------------------------------


def _parted(place: Place) -> tuple[Runs, Runs]:
    """The runs before trouble began, and those since three good ones running (rule 3)."""
    return place.before.part(0, _well_until(place.before)), place.after.part(_well_from(place.after), len(place.after))


def _triples(runs: Runs) -> Ints:
    """Where three good runs running begin."""
    import numpy as np

    good = ~runs.is_bad
    if len(good) < RUNNING:
        return np.zeros(0, dtype=np.int64)
    found: Ints = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(good, RUNNING).all(axis=1)).astype(np.int64)
    return found


def _well_until(runs: Runs) -> int:
    """How many runs from the front are not of the window's trouble: without a bad one at the end, all."""
    triples = _triples(runs)
    from_here = int(triples[-1]) + RUNNING if len(triples) else 0
    return from_here if runs.is_bad[from_here:].any() else len(runs)


def _well_from(runs: Runs) -> int:
    """The first run that is not of the window's trouble: without a bad one at the front, the first of all."""
    triples = _triples(runs)
    until = int(triples[0]) if len(triples) else len(runs)
    return until if runs.is_bad[:until].any() else 0


def _trouble(place: Place, latest: Announcement) -> Trouble | None:
    import numpy as np

    parts = (
        place.before.part(_well_until(place.before), len(place.before)),
        place.during,
        place.after.part(0, _well_from(place.after)),
    )
    bad = np.concatenate([part.at[part.is_bad] for part in parts])
    if not len(bad):
        return None
    first, last = int(bad[0]), int(bad[-1])
    early, over = max(0, latest.start - first), max(0, last - latest.end)
    # A run sent at the very end is already outside: the window is half open.
    over = max(over, 1) if last >= latest.end else 0
    return Trouble(place.check, place.region, first, last, len(bad), early, over)


def _outside(troubles: Sequence[Trouble]) -> list[str]:
    early = [
        f"{each.check} from {each.region}: bad {told(each.early)} before the window's start"
        for each in troubles
        if each.early
    ]
    over = [
        f"{each.check} from {each.region}: overran, bad until {told(each.over)} after the window's end"
        for each in troubles
        if each.over
    ]
    return early + over


def _disturbed(place: Place) -> Trouble | None:
    bad = place.during.is_bad
    if not (bad[1:] & bad[:-1]).any():  # DOWN_RUNNING
        return None
    at = place.during.at[bad]
    return Trouble(place.check, place.region, int(at[0]), int(at[-1]), len(at))


def _bystanders(outside: Sequence[Place], disturbed: Sequence[Trouble]) -> tuple[tuple[str, Bystanding], ...]:
    down = {each.check for each in disturbed}
    heard = {place.check for place in outside if len(place.during)}
    states = {False: Bystanding.NO_DATA, True: Bystanding.UP}
    return tuple(
        (check, Bystanding.DOWN if check in down else states[check in heard])
        for check in sorted({place.check for place in outside})
    )


def _not_up(disturbed: Sequence[Trouble]) -> list[str]:
    return [
        f"{each.check} from {each.region}, which is out of scope, did not stay up: {each.runs} bad runs, "
        f"{format_instant(each.first)} to {format_instant(each.last)}"
        for each in disturbed
    ]


def _unheard(facts: Facts, inside: Sequence[Place], outside: Sequence[Place]) -> list[str]:
    """Where silence keeps a question open for good."""
    latest = facts.latest
    passed = min(facts.as_of, latest.end) - latest.start
    silent = [
        f"{place.name}, which is out of scope, was silent during the window"
        for place in outside
        if not len(place.during) and passed >= 2 * place.interval
    ]
    return silent if inside else ["no check in the window's scope was heard of", *silent]


# --- after -----------------------------------------------------------------------------------------------------------


def _with_back(report: Verification, facts: Facts, inside: Sequence[Place]) -> Verification:
    back = tuple(_back(place) for place in inside)
    failures, open_ = [], []
    for each, place in zip(back, inside, strict=True):
        if each.is_back:
            continue
        open_.append(f"{place.name}: {each.good_running} good runs running of {RUNNING}")
        if each.good_running < each.runs:
            failures.append(f"{place.name}: not good again, {each.good_running} good runs running of {RUNNING}")
    return replace(_left_open(report, facts, open_), back=back, failures=(*report.failures, *failures))


def _back(place: Place) -> Back:
    last = place.after.is_bad[-RUNNING:].tolist()
    good = last[::-1].index(True) if True in last else len(last)
    return Back(place.check, place.region, len(last), good)


def _with_comparisons(
    report: Verification,
    facts: Facts,
    parted: dict[str, tuple[Runs, Runs]],
    generator: np.random.Generator,
    settings: Settings,
) -> Verification:
    pairs = {name: (_series(before), _series(after)) for name, (before, after) in parted.items()}
    found = tuple(compare(pairs, generator, settings))
    slower = [f"{each.name}: slower than before, {each.reason}" for each in found if each.change is Change.SLOWER]
    # What a baseline lacks was told, and no run to come will fill it.
    unjudged = [
        f"{each.name}: {_why(each, settings)}"
        for each in found
        if each.change is Change.TOO_FEW and each.runs[0] >= settings.least_runs
    ]
    report = _left_open(report, facts, unjudged)
    return replace(report, comparisons=found, failures=(*report.failures, *slower))


def _why(each: Comparison, settings: Settings) -> str:
    missing = settings.least_runs - each.runs[1]
    return f"{each.runs[1]} runs after; {missing} are missing to {settings.least_runs}" if missing > 0 else each.reason


def _left_open(report: Verification, facts: Facts, texts: Sequence[str]) -> Verification:
    """Still to come, or too late for it."""
    if facts.as_of < facts.closes_at:
        return replace(report, pending=(*report.pending, *texts))
    return replace(report, missing=(*report.missing, *texts))


def _series(runs: Runs) -> Series:
    import numpy as np

    return Series(np.where(runs.is_bad, FAILED, runs.latency).astype(np.int64), runs.at // BLOCK)


def told(duration: Duration) -> str:
    """For people: whole seconds, rounded up; what is not nothing is not shown as nothing."""
    return format_duration(-(-duration // SECOND) * SECOND)
