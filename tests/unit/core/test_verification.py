"""Window verification, case by case: what fails a window, what leaves it open, and by how much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.maintenance import Act, Announcement
from outrider.core.units import DAY, HOUR, MINUTE, SECOND, Instant
from outrider.core.verification import Bystanding, Clearance, Facts, Runs, Vantage, Verification, told, verify

START: Instant = 1_000 * DAY
END: Instant = START + 2 * HOUR
WINDOW = Announcement("w-1", 1, Act.ANNOUNCE, START, END, START - 4 * DAY, ("card-*",))


def runs(first: Instant, count: int, *, bad: Iterable[int] = (), slower: float = 1.0, seed: int = 1) -> Runs:
    """One a minute; around 400 ms."""
    generator = np.random.default_rng(seed)
    latency = (slower * generator.normal(400_000, 20_000, count)).astype(np.int64)
    is_bad = np.zeros(count, dtype=np.bool_)
    is_bad[list(bad)] = True
    return Runs(first + MINUTE * np.arange(count, dtype=np.int64), latency, is_bad)


@dataclass(frozen=True)
class Around:
    """What one check saw; bad runs by their number in each part."""

    before: int = 300
    after: int = 300
    bad_before: tuple[int, ...] = ()
    bad_during: tuple[int, ...] = tuple(range(10, 60))
    bad_after: tuple[int, ...] = ()
    slower: float = 1.0
    during: int = 120

    def place(self, check: str, region: str = "east", seed: int = 1) -> Vantage:
        return Vantage(
            check,
            region,
            MINUTE,
            runs(START - self.before * MINUTE, self.before, bad=self.bad_before, seed=seed),
            runs(START, self.during, bad=self.bad_during, seed=seed + 100),
            runs(END, self.after, bad=self.bad_after, slower=self.slower, seed=seed + 200),
        )


QUIET = Around(bad_during=())


@dataclass(frozen=True)
class Case:
    """A window, what its check saw, what one out of scope saw, and what comes of it."""

    name: str
    verdict: Clearance
    failures: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    inside: Around = field(default_factory=Around)
    outside: Around = QUIET
    history: tuple[Announcement, ...] = (WINDOW,)
    as_of: Instant = END + DAY


def judged(case: Case, seed: int = 7) -> Verification:
    places = (case.inside.place("card-sale"), case.outside.place("portal", seed=5))
    facts = Facts(case.history, (("G1", 72 * HOUR),), places, case.as_of, END + 2 * DAY)
    return verify(facts, np.random.default_rng(seed))


CANCELLED = replace(WINDOW, version=2, act=Act.CANCEL, recorded_at=START - HOUR)
LATE = replace(WINDOW, recorded_at=START - 72 * HOUR + SECOND)
EXTENDED = (replace(WINDOW, end=END - HOUR), replace(WINDOW, version=2, act=Act.EXTEND, recorded_at=START + HOUR))
SCOPED = (replace(WINDOW, scope=("portal",)), replace(WINDOW, version=2, act=Act.MOVE, recorded_at=START - HOUR))
COMPLETED = (replace(WINDOW, end=END + HOUR), replace(WINDOW, version=2, act=Act.COMPLETE, recorded_at=END))

CASES = [
    Case("all is well", Clearance.ALL_CLEAR),
    Case("nothing went wrong at all", Clearance.ALL_CLEAR, inside=QUIET),
    Case("40 % slower after", Clearance.FAILED, ("card-sale from east: slower than before",),
         inside=Around(slower=1.4)),
    Case("10 % slower is significant, and too little to matter", Clearance.ALL_CLEAR, inside=Around(slower=1.1)),
    Case("faster after", Clearance.ALL_CLEAR, inside=Around(slower=0.5)),
    Case("too few before", Clearance.INCONCLUSIVE, open=("199 runs before; 1 are missing to 200",),
         inside=Around(before=199)),
    Case("too few after", Clearance.INCONCLUSIVE, open=("50 runs after; 150 are missing to 200",),
         inside=Around(after=50)),
    Case("exactly enough", Clearance.ALL_CLEAR, inside=Around(before=200, after=200)),
    Case("silent after", Clearance.INCONCLUSIVE, open=("0 good runs running of 3", "200 are missing"),
         inside=Around(after=0)),
    Case("bad until two minutes after the end", Clearance.FAILED, ("overran, bad until 2m after the window's end",),
         inside=Around(bad_during=tuple(range(10, 120)), bad_after=(0, 1, 2))),
    Case("bad at the very end, which is outside", Clearance.FAILED, ("overran, bad until 1s after",),
         inside=Around(bad_after=(0,))),
    Case("two good runs do not part it from the window", Clearance.FAILED, ("overran, bad until 3m after",),
         inside=Around(bad_after=(0, 3))),
    Case("a single bad run long after is none of the window's", Clearance.ALL_CLEAR, inside=Around(bad_after=(100,))),
    Case("bad three minutes before the start", Clearance.FAILED, ("bad 3m before the window's start",),
         inside=Around(bad_before=(297, 298, 299))),
    Case("a single bad run long before is none of the window's", Clearance.ALL_CLEAR, inside=Around(bad_before=(100,))),
    Case("back, and then bad again", Clearance.FAILED, ("not good again, 1 good runs running of 3",),
         inside=Around(bad_after=(298,))),
    Case("never good again", Clearance.FAILED,
         ("overran, bad until 4h59m after", "not good again, 0 good runs running of 3"), ("0 runs after",),
         inside=Around(bad_after=tuple(range(300)))),
    Case("one out of scope went down", Clearance.FAILED, ("portal from east, which is out of scope, did not stay up",),
         outside=Around(bad_during=(30, 31))),
    Case("a single bad run out of scope is no outage", Clearance.ALL_CLEAR, outside=Around(bad_during=(30, 50))),
    Case("one out of scope was silent", Clearance.INCONCLUSIVE, open=("was silent during the window",),
         outside=Around(bad_during=(), during=0)),
    Case("one out of scope came only afterwards", Clearance.ALL_CLEAR,
         outside=Around(before=0, bad_during=(), during=0)),
    Case("one out of scope may be slower, and has no baseline", Clearance.ALL_CLEAR,
         outside=Around(before=5, bad_during=(), slower=3)),
    Case("cancelled", Clearance.INCONCLUSIVE, open=("was cancelled",), history=(WINDOW, CANCELLED),
         inside=Around(bad_after=(0, 1))),
    Case("still running", Clearance.INCONCLUSIVE, open=("the window ends",), as_of=END - HOUR,
         inside=Around(after=0, during=60)),
    Case("still to come", Clearance.INCONCLUSIVE, open=("the window begins",), as_of=START - HOUR,
         inside=Around(after=0, during=0, bad_during=()), outside=Around(during=0, bad_during=())),
    Case("one second of notice missing", Clearance.FAILED, ("G1: announced 1s too late for a notice of 3d",),
         history=(LATE,)),
    Case("exactly the notice", Clearance.ALL_CLEAR, history=(replace(LATE, recorded_at=START - 72 * HOUR),)),
    Case("extended while it ran", Clearance.FAILED, ("G1: announced 3d1h too late for a notice of 3d",),
         history=EXTENDED),
    Case("completed early, announced in time", Clearance.ALL_CLEAR, history=COMPLETED),
    Case("its scope was narrowed late, and its check was in it all along", Clearance.ALL_CLEAR,
         history=(replace(WINDOW, scope=("*",)), replace(WINDOW, version=2, act=Act.MOVE, recorded_at=START - HOUR))),
    Case("its check came into the scope late", Clearance.FAILED, ("G1: announced 2d23h too late",), history=SCOPED),
    Case("nothing in scope was heard of", Clearance.INCONCLUSIVE, open=("no check in the window's scope",),
         history=(replace(WINDOW, scope=("ach-*",)),), inside=QUIET),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_window_is_judged(case: Case) -> None:
    report = judged(case)
    assert report.clearance is case.verdict, (report.failures, report.pending, report.missing)
    for found, wanted in ((report.failures, case.failures), ((*report.pending, *report.missing), case.open)):
        assert len(found) >= len(wanted)
        for words in wanted:
            assert any(words in each for each in found), found
    if case.verdict is Clearance.FAILED:
        assert len(report.failures) == len(case.failures), report.failures


def test_the_first_and_last_bad_instants_are_told_against_the_window() -> None:
    (trouble,) = judged(CASES[0]).troubles
    assert (trouble.first, trouble.last) == (START + 10 * MINUTE, START + 59 * MINUTE)
    assert (trouble.early, trouble.over, trouble.runs) == (0, 0, 50)


@pytest.mark.parametrize(
    ("outside", "state"),
    [
        (QUIET, Bystanding.UP),
        (Around(bad_during=(30, 31)), Bystanding.DOWN),
        (Around(bad_during=(), during=0), Bystanding.NO_DATA),
    ],
)
def test_a_check_out_of_scope_stayed_up_did_not_or_was_silent(outside: Around, state: Bystanding) -> None:
    assert judged(Case("", Clearance.ALL_CLEAR, outside=outside)).bystanders == (("portal", state),)


def test_the_same_facts_and_seed_give_the_same_report() -> None:
    assert judged(CASES[2]) == judged(CASES[2])


def test_what_is_open_is_pending_until_the_facts_close_and_missing_from_then_on() -> None:
    case = Case("", Clearance.INCONCLUSIVE, inside=Around(after=50))
    early, late = judged(case), judged(replace(case, as_of=END + 2 * DAY))
    assert (len(early.pending), len(early.missing)) == (1, 0)
    assert (late.pending, late.missing) == ((), early.pending)


def test_a_missing_baseline_is_never_pending_for_no_run_to_come_will_fill_it() -> None:
    report = judged(Case("", Clearance.INCONCLUSIVE, inside=Around(before=10)))
    assert (report.pending, len(report.missing)) == ((), 1)


def test_a_region_that_is_not_back_fails_a_window_that_is_well_elsewhere() -> None:
    places = (Around().place("card-sale"), Around(bad_after=(299,)).place("card-sale", "west", 9))
    report = verify(Facts((WINDOW,), (), places, END + DAY, END + 2 * DAY), np.random.default_rng(1))
    assert [(each.region, each.is_back) for each in report.back] == [("east", True), ("west", False)]
    assert report.clearance is Clearance.FAILED


def test_facts_without_a_history_and_runs_of_unequal_length_cannot_be() -> None:
    with pytest.raises(ValueError, match="never announced"):
        Facts((), (), (), END, END)
    whole: dict[str, Any] = {"at": np.zeros(2, int), "latency": np.zeros(2, int), "is_bad": np.zeros(1, bool)}
    with pytest.raises(ValueError, match="2 instants, 2 latencies, 1 standings"):
        Runs(**whole)


@pytest.mark.parametrize(("us", "text"), [(0, "0s"), (1, "1s"), (SECOND, "1s"), (95 * SECOND, "1m35s")])
def test_a_difference_is_told_in_seconds_and_never_as_nothing(us: int, text: str) -> None:
    assert told(us) == text


PATTERN = st.lists(st.booleans(), max_size=12)


@settings(max_examples=150, deadline=None)
@given(PATTERN, PATTERN, PATTERN, st.integers(START - HOUR, END + 3 * DAY))
def test_whatever_the_runs_a_window_is_judged_and_trouble_outside_never_passes(
    before: list[bool], during: list[bool], after: list[bool], as_of: Instant
) -> None:
    def of(first: Instant, marks: list[bool]) -> Runs:
        return runs(first, len(marks), bad=[at for at, is_bad in enumerate(marks) if is_bad])

    place = Vantage("card-sale", "east", MINUTE, of(START - len(before) * MINUTE, before), of(START, during),
                  of(END, after))  # fmt: skip
    report = verify(Facts((WINDOW,), (), (place,), as_of, END + 2 * DAY), np.random.default_rng(1))
    assert report.clearance is not Clearance.ALL_CLEAR, "a dozen runs are no baseline"
    assert (report.clearance is Clearance.FAILED) == bool(report.failures)
    if before[-1:] == [True] or after[:1] == [True]:
        assert any("before the window's start" in each or "overran" in each for each in report.failures)
