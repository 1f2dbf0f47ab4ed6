"""What would have changed a verdict, by hand-worked cases; and that doing just that changes it, and less does not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from outrider.core.guarantee import Guarantee, Measure
from outrider.core.intervals import Intervals
from outrider.core.margin import (
    Margin,
    availability_margin,
    least_good,
    lowest_coverage,
    margin_of_parts,
    response_margin,
)
from outrider.core.sli import Availability, ResponseTime
from outrider.core.units import SECOND
from outrider.core.verdict import Judgement, Verdict, judge_availability, judge_response, satisfies

STRICT = Guarantee("G1", "Available", Measure.AVAILABILITY, Fraction(999, 1000), strict=True)
LOOSE = replace(STRICT, strict=False)
FAST = Guarantee("G3", "Fast", Measure.RESPONSE_TIME, Fraction(9, 10), limit=10 * SECOND)


def sli(up: int, down: int = 0, unknown: int = 0, coverage: dict[str, int] | None = None) -> Availability:
    covered = {"east": up + down} if coverage is None else coverage
    nothing = Intervals()
    return Availability(up, down, unknown, 0, up, down, 0, covered, nothing, nothing, {})


def timed(within: int, samples: int) -> ResponseTime:
    return ResponseTime(within, within, samples - within, 0, 0, None, None, 0)


@pytest.mark.parametrize(
    ("made", "guarantee", "by", "text"),
    [
        # 0.999 x 43200 = 43156.8: 43157 are needed, strict or not.
        (sli(43160, 40), STRICT, 3, "met with 3 slices (3m) to spare of 43200: with one more down than that, it would"),
        (sli(43154, 46), STRICT, 3, "missed by 3 slices (3m): with 3 fewer down of the 46 that were, it would"),
        (sli(43156, 44), STRICT, 1, "missed by 1 slice (1m): with 1 fewer down of the 44 that were, it would"),
        # 0.999 x 1000 = 999 exactly: enough where it need only be reached, one too few where it must be exceeded.
        (sli(999, 1), LOOSE, 0, "met with 0 slices (0s) to spare of 1000"),
        (sli(999, 1), STRICT, 1, "missed by 1 slice (1m)"),
        (sli(1000), STRICT, 0, "met with 0 slices (0s) to spare"),
        (sli(900, 50, 50), STRICT, 50, "with 50 fewer down of the 50 that were, with all 50 unknown ones up, it would"),
        (sli(43150, 30, 20), STRICT, 7,
         "20 unknown slices decide: met if at least 7 of them were up, missed if 14 or more were down"),
        (sli(999, 0, 1), STRICT, 1, "1 unknown slice decides: met if at least 1 of them was up, missed if 1 or more"),
        (sli(1000, coverage={"east": 1000, "west": 960}), replace(LOOSE, coverage_floor=Fraction(97, 100)), 10,
         "coverage decides: west has data in 960 of 1000 slices and lacks 10; by its share it is met with 1 slice"),
        (sli(900, 100, coverage={"west": 960}), replace(LOOSE, coverage_floor=Fraction(97, 100)), 99,
         "it would have been met (or inconclusive, as coverage is below its floor for west)"),
        (sli(0, coverage={}), STRICT, None, "nothing to judge: no samples"),
    ],
)  # fmt: skip
def test_an_availability_says_what_would_have_changed_its_verdict(
    made: Availability, guarantee: Guarantee, by: int | None, text: str
) -> None:
    margin = availability_margin(made, guarantee, judge_availability(made, guarantee))
    assert (margin.unit, margin.by) == ("slices", by)
    assert text in margin.text


@pytest.mark.parametrize(
    ("within", "samples", "unit", "by", "text"),
    [
        (940, 1000, "transactions", 40, "met with 40 transactions to spare of 1000: with one more failed or slow than"),
        (900, 1000, "transactions", 0, "met with 0 transactions to spare"),
        (
            899,
            1000,
            "transactions",
            1,
            "missed by 1 transaction: with 1 more within the limit of the 101 that were not",
        ),
        (0, 3, "transactions", 3, "missed by 3 transactions: with 3 more within the limit of the 3 that were not"),
        (0, 0, "transactions", None, "nothing to judge: no samples"),
    ],
)
def test_a_response_time_counts_in_transactions(
    within: int, samples: int, unit: str, by: int | None, text: str
) -> None:
    made = timed(within, samples)
    margin = response_margin(made, FAST, judge_response(made, FAST, {}), {})
    assert (margin.unit, margin.by) == (unit, by)
    assert text in margin.text


def test_a_response_time_below_the_coverage_floor_names_the_thin_checks() -> None:
    floored = replace(FAST, coverage_floor=Fraction(1, 2))
    coverage = {"card": (40, 100), "elig": (90, 100)}
    judgement = judge_response(timed(99, 100), floored, {name: Fraction(*pair) for name, pair in coverage.items()})
    margin = response_margin(timed(99, 100), floored, judgement, coverage)
    assert (judgement.verdict, margin.unit, margin.by) == (Verdict.INCONCLUSIVE, "slices", 10)
    assert "card has data in 40 of 100 slices and lacks 10; by its share it is met with 9 trans" in margin.text


def test_of_several_checks_those_decide_whose_verdict_stands() -> None:
    def part(name: str, made: Availability) -> tuple[str, Judgement, Margin]:
        judgement = judge_availability(made, STRICT)
        return name, judgement, availability_margin(made, STRICT, judgement)

    met = [part("a", sli(100_000, 20)), part("b", sli(100_000, 90))]
    closest = margin_of_parts(met)
    assert closest.by == 10
    assert closest.text.startswith("the closest of 2 checks is b: met with 10 slices")
    one = margin_of_parts([*met, part("c", sli(998, 2))])
    assert (one.by, one.text[:24]) == (2, "c: missed by 2 slices (2")
    mixed = margin_of_parts([part("c", sli(998, 2)), part("d", sli(10, 0, 990)), *met])
    assert mixed.text.endswith("it would have been met; the guarantee would then be inconclusive, by d")
    many = margin_of_parts([part(f"c{n}", sli(998, 2)) for n in range(7)])
    assert many.by == 14
    assert many.text.startswith("7 checks would all have had to change: c0: missed")
    assert many.text.endswith("; and 2 more checks")


def test_the_thinnest_region_stands_for_a_check() -> None:
    assert lowest_coverage(sli(10, coverage={"east": 9, "west": 4})) == (4, 10)
    assert lowest_coverage(sli(10, coverage={})) == (0, 10), "nobody looked"
    assert lowest_coverage(sli(0)) is None


@settings(max_examples=200, deadline=None)
@given(
    up=st.integers(0, 500),
    down=st.integers(0, 500),
    unknown=st.integers(0, 500),
    target=st.fractions(Fraction(1, 100), Fraction(999, 1000), max_denominator=1000),
    strict=st.booleans(),
)
def test_the_margin_is_exact_for_any_counts(up: int, down: int, unknown: int, target: Fraction, strict: bool) -> None:
    assume(up + down)
    guarantee = Guarantee("g", "g", Measure.AVAILABILITY, target, strict=strict)
    made = sli(up, down, unknown)
    judgement = judge_availability(made, guarantee)
    by = availability_margin(made, guarantee, judgement).by
    assert by is not None
    match judgement.verdict:
        case Verdict.MET:
            pairs = [(sli(up - by, down + by, unknown), True)]
            pairs += [(sli(up - by - 1, down + by + 1, unknown), False)] if up > by else []
        case Verdict.MISSED:
            pairs = [(sli(up + by + unknown, down - by), True), (sli(up + by - 1 + unknown, down - by + 1), False)]
        case _:
            pairs = [(sli(up + by, down + unknown - by), True), (sli(up + by - 1, down + unknown - by + 1), False)]
    for changed, is_met in pairs:
        assert (judge_availability(changed, guarantee).verdict is Verdict.MET) is is_met


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 10_000), target=st.fractions(Fraction(1, 100), Fraction(999, 1000), max_denominator=1000))
def test_the_least_number_of_good_ones_satisfies_and_one_less_does_not(n: int, target: Fraction) -> None:
    for strict in (False, True):
        guarantee = Guarantee("g", "g", Measure.AVAILABILITY, target, strict=strict)
        least = least_good(n, guarantee)
        assert satisfies(Fraction(least, n), guarantee)
        assert not satisfies(Fraction(least - 1, n), guarantee)
