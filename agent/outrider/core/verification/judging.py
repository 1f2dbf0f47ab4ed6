"""Window verification: did a maintenance window go as it was announced, and is the service what it was before?

Rules
-----
1. The facts are ordinary runs, sorted by instant, GOOD or BAD. VOID runs and those that a partner failed say nothing
   about the maintenance: whoever gathers the facts leaves them out, and those that fell into another window.
2. Before: under each guarantee, the version that first held the whole window as it stands came early enough; and each
   check and region in scope has a baseline of enough runs. Emergency maintenance is asked for the notice that the
   guarantee has for it, and where it has none, for none.
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
from dataclasses import replace
from typing import TYPE_CHECKING

from outrider.core.compare import FAILED, Change, Comparison, Series, Settings, compare
from outrider.core.intervals import Interval
from outrider.core.maintenance import Act
from outrider.core.units import MINUTE, Duration, format_instant
from outrider.core.verification import trouble
from outrider.core.verification.facts import Facts, Runs, Vantage, is_in_scope
from outrider.core.verification.report import RUNNING, Back, Baseline, Notice, Verification, told

if TYPE_CHECKING:
    import numpy as np

BLOCK: Duration = 5 * MINUTE
"""Of response times: what is shuffled together when before is compared with after."""


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
    parted = {place.name: trouble.parted(place) for place in inside}
    troubles = tuple(found for place in inside if (found := trouble.trouble(place, latest)))
    disturbed = tuple(found for place in outside if (found := trouble.disturbed(place)))
    report = replace(
        report,
        baselines=tuple(_baseline(place, parted[place.name][0], settings) for place in inside),
        troubles=troubles,
        bystanders=trouble.bystanders(outside, disturbed),
        disturbed=disturbed,
        failures=(*_late(notices), *trouble.outside_the_window(troubles), *trouble.not_up(disturbed)),
        missing=(*trouble.unheard(facts, inside, outside),),
    )
    report = _with_baselines_told(report, settings)
    if facts.as_of < latest.end:
        state = "begins" if facts.as_of < latest.start else "ends"
        at = latest.start if facts.as_of < latest.start else latest.end
        return replace(report, pending=(f"the window {state} {format_instant(at)}",))
    report = _with_back(report, facts, inside)
    return _with_comparisons(report, facts, parted, generator, settings)


# --- before ----------------------------------------------------------------------------------------------------------


def _notices(facts: Facts) -> tuple[Notice, ...]:
    """Given is the time from the first of the unbroken row of versions that hold the whole window, for every check in
    its scope, to its start."""
    latest = facts.latest
    checks = {place.check for place in facts.places if is_in_scope(latest, place.check)}
    whole = Interval(latest.start, latest.end)
    recorded_at = latest.recorded_at
    for version in reversed(facts.history):
        if version.act is Act.CANCEL or version.start > whole.start or version.end < whole.end:
            break
        if version.scope != latest.scope and not all(is_in_scope(version, check) for check in checks):
            break
        recorded_at = version.recorded_at
    return tuple(Notice(guarantee, required, latest.start - recorded_at) for guarantee, required in facts.notices)


def _late(notices: Sequence[Notice]) -> list[str]:
    return [
        f"{each.guarantee}: announced {told(-each.margin)} too late for a notice of {told(each.required)}"
        for each in notices
        if each.required is not None and each.margin is not None and each.margin < 0
    ]


def _baseline(place: Vantage, before: Runs, settings: Settings) -> Baseline:
    return Baseline(place.check, place.region, len(before), max(0, settings.least_runs - len(before)))


def _with_baselines_told(report: Verification, settings: Settings) -> Verification:
    short = tuple(
        f"{each.check} from {each.region}: {each.runs} runs before; {each.missing} are missing to {settings.least_runs}"
        for each in report.baselines
        if each.missing
    )
    return replace(report, missing=(*report.missing, *short))


# --- after -----------------------------------------------------------------------------------------------------------


def _with_back(report: Verification, facts: Facts, inside: Sequence[Vantage]) -> Verification:
    back = tuple(_back(place) for place in inside)
    failures, open_ = [], []
    for each, place in zip(back, inside, strict=True):
        if each.is_back:
            continue
        open_.append(f"{place.name}: {each.good_running} good runs running of {RUNNING}")
        if each.good_running < each.runs:
            failures.append(f"{place.name}: not good again, {each.good_running} good runs running of {RUNNING}")
    return replace(_left_open(report, facts, open_), back=back, failures=(*report.failures, *failures))


def _back(place: Vantage) -> Back:
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
