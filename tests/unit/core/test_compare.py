"""Comparing before and after: verdicts on made-up series, and the arithmetic against figures worked out by hand."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.core.compare import FAILED, Change, Comparison, Series, Settings, compare, holm, nearest_rank
from outrider.core.units import MILLISECOND

PER_BLOCK = 20


def series(generator: np.random.Generator, blocks: int, *, median_ms: float = 300.0, drift: float = 0.0) -> Series:
    """Blocks of lognormal latencies; `drift` is how much whole blocks differ from each other (sigma of the log)."""
    levels = np.repeat(generator.normal(0, drift, blocks), PER_BLOCK) if drift else np.zeros(blocks * PER_BLOCK)
    latency = np.exp(generator.normal(np.log(median_ms), 0.3, blocks * PER_BLOCK) + levels) * MILLISECOND
    return Series(latency.astype(np.int64), np.repeat(np.arange(blocks), PER_BLOCK))


def one(before: Series, after: Series, seed: int = 1, settings: Settings | None = None) -> Comparison:
    (found,) = compare({"eligibility in us-east": (before, after)}, np.random.default_rng(seed), settings)
    return found


def test_twice_as_slow_is_slower_in_both_questions() -> None:
    generator = np.random.default_rng(7)
    found = one(series(generator, 12), series(generator, 12, median_ms=600))
    assert found.change is Change.SLOWER
    assert [question.is_worse for question in found.questions] == [True, True]
    assert found.runs == (240, 240)
    assert found.blocks == (12, 12)
    assert found.reason.startswith("median x ")
    assert "p90 x " in found.reason


def test_the_same_again_and_faster_are_not_slower() -> None:
    generator = np.random.default_rng(7)
    before = series(generator, 12)
    assert one(before, series(generator, 12)).change is Change.NOT_SLOWER
    faster = one(before, series(generator, 12, median_ms=100))
    assert faster.change is Change.NOT_SLOWER
    assert all(question.p > 0.5 for question in faster.questions)
    assert one(before, before).reason == "no significant difference"


def test_a_difference_that_is_significant_and_small_is_told_and_fails_nothing() -> None:
    generator = np.random.default_rng(3)
    found = one(series(generator, 60), series(generator, 60, median_ms=327))
    assert found.change is Change.NOT_SLOWER
    assert any(question.is_significant for question in found.questions)
    assert found.reason.endswith("significant, but less than 1.2 times")
    stricter = one(
        series(np.random.default_rng(3), 60),
        series(np.random.default_rng(4), 60, median_ms=327),
        settings=Settings(ratio=Fraction(21, 20)),
    )
    assert stricter.change is Change.SLOWER


def test_a_slow_tail_alone_is_found_by_p90() -> None:
    generator = np.random.default_rng(5)
    before, after = series(generator, 20), series(generator, 20)
    tail = np.where(generator.random(len(after.latency)) < 0.2, 10, 1)
    found = one(before, Series(after.latency * tail, after.block))
    assert [(question.name, question.is_worse) for question in found.questions] == [("median", False), ("p90", True)]
    assert found.change is Change.SLOWER


def test_failures_are_slower_than_any_answer() -> None:
    generator = np.random.default_rng(5)
    before, after = series(generator, 20), series(generator, 20)
    failed = np.where(generator.random(len(after.latency)) < 0.2, FAILED, after.latency)
    found = one(before, Series(failed, after.block))
    p90 = found.questions[1]
    assert (p90.after, p90.ratio, p90.is_worse) == (None, None, True)
    assert found.reason == "p90 x infinite: significant, and at least 1.2 times"
    mended = one(Series(failed, after.block), before)
    assert mended.change is Change.NOT_SLOWER


def test_blocks_that_differ_among_themselves_raise_no_false_alarm() -> None:
    """Runs of one block are alike: shuffled singly, three of four such pairs would look significant."""
    alarms = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        before, after = series(generator, 12, drift=0.4), series(generator, 12, drift=0.4)
        alarms += one(before, after, seed, Settings(ratio=Fraction(1), permutations=400)).change is Change.SLOWER
    assert alarms <= 8, "60 pairs at 5 % for the family of two questions"


def wandering(generator: np.random.Generator, runs: int, memory: float, shift: float = 1.0) -> tuple[Series, Series]:
    """Lognormal latencies once a minute in blocks of five, each alike to the one before it (AR(1)); the last 200 are
    after, `shift` times as slow."""
    level, noise = [0.0], generator.normal(0, 0.4 * (1 - memory**2) ** 0.5, runs)
    for each in noise:
        level.append(memory * level[-1] + each)
    latency, block = np.exp(12.0 + np.array(level[1:])), np.arange(runs) // 5
    latency[-200:] *= shift
    whole = latency.astype(np.int64)
    return Series(whole[:-200], block[:-200]), Series(whole[-200:], block[-200:])


def test_response_times_that_wander_for_longer_than_a_block_raise_no_false_alarm() -> None:
    """With blocks as they come, of five runs, six of these seven families would be called slower."""
    alarms = 0
    for seed in range(7):
        generator = np.random.default_rng(seed)
        pairs = {f"check {n}": wandering(generator, 1000, 0.9) for n in range(30)}
        alarms += any(each.change is Change.SLOWER for each in compare(pairs, generator))
    assert alarms <= 1


def test_a_slower_service_is_found_though_its_response_times_wander() -> None:
    before, after = wandering(np.random.default_rng(3), 3000, 0.8, shift=1.4)
    found = one(before, after)
    assert found.change is Change.SLOWER
    assert found.blocks[1] < 40, "blocks of five runs were joined"


def test_a_daily_swing_larger_than_the_ratio_is_not_taken_for_a_change_nor_for_none() -> None:
    minute = np.arange(2880 + 200)
    latency = (3e5 * np.exp(0.4 * np.sin(2 * np.pi * minute / 1440))).astype(np.int64)
    found = one(Series(latency[:2880], minute[:2880] // 5), Series(latency[2880:], minute[2880:] // 5))
    assert found.change is Change.TOO_FEW
    assert "too few for any difference to be significant" in found.reason


def test_a_large_family_gets_permutations_enough_to_find_anything_at_all() -> None:
    generator = np.random.default_rng(2)
    constant = series(generator, 12)
    same = (constant, constant)
    pairs = {f"check {n}": same for n in range(40)} | {"slow": (constant, Series(constant.latency * 3, constant.block))}
    found = compare(pairs, generator, Settings(permutations=100))
    assert [each.name for each in found if each.change is Change.SLOWER] == ["slow"]


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (9, 12, "180 runs before; 20 are missing to 200"),
        (12, 1, "20 runs after; 180 are missing to 200"),
    ],
)
def test_too_few_runs_are_told_with_how_many_are_missing(before: int, after: int, reason: str) -> None:
    generator = np.random.default_rng(1)
    found = one(series(generator, before), series(generator, after))
    assert (found.change, found.reason, found.questions) == (Change.TOO_FEW, reason, ())


def test_many_runs_in_few_blocks_cannot_be_judged() -> None:
    one_hour = Series.of([300] * 400, [1] * 200 + [2] * 200)
    found = one(one_hour, one_hour)
    assert found.reason == "2 blocks of time before and 2 after: too few for any difference to be significant"


def test_all_pairs_are_one_family() -> None:
    generator = np.random.default_rng(11)
    pairs = {f"check {n}": (series(generator, 12), series(generator, 12)) for n in range(20)}
    pairs["the slow one"] = (series(generator, 12), series(generator, 12, median_ms=900))
    pairs["too short"] = (series(generator, 1), series(generator, 1))
    found = {each.name: each.change for each in compare(pairs, np.random.default_rng(1))}
    assert list(found) == list(pairs)
    assert [name for name, change in found.items() if change is Change.SLOWER] == ["the slow one"]
    assert found["too short"] is Change.TOO_FEW


def test_the_same_generator_gives_the_same_verdict() -> None:
    pair = series(np.random.default_rng(1), 12), series(np.random.default_rng(2), 12, median_ms=320)
    assert one(*pair, seed=9) == one(*pair, seed=9)


def test_the_p_value_is_the_share_of_arrangements_at_least_as_extreme() -> None:
    """Eight blocks of one latency each, all those after slower: of the 70 arrangements only the one seen is that
    extreme, so p is near 1/70 for U and p90 alike."""
    before = Series.of([n for n in (2, 4, 1, 3) for _ in range(50)], [n for n in (1, 2, 3, 4) for _ in range(50)])
    after = Series.of([n for n in (6, 8, 5, 7) for _ in range(50)], [n for n in (1, 2, 3, 4) for _ in range(50)])
    settings = Settings(alpha=Fraction(1, 10), permutations=20_000)
    found = one(before, after, settings=settings)
    assert found.questions[0].p == pytest.approx(2 * 1 / 70, rel=0.3), "doubled by Holm: the smaller of two"


def test_holm_corrects_as_worked_out_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(("share", "expected"), [(Fraction(9, 10), 9), (Fraction(1, 2), 5), (Fraction(1), 10)])
def test_nearest_rank_interpolates_nothing(share: Fraction, expected: int) -> None:
    assert nearest_rank(np.array([3, 1, 2, 10, 9, 8, 4, 5, 6, 7], dtype=np.int64), share) == expected


@given(st.lists(st.floats(min_value=0, max_value=1), max_size=20))
def test_corrected_p_values_keep_their_order_and_never_shrink(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(raw <= made <= 1 for raw, made in zip(p_values, corrected, strict=True))
    in_order = [made for _, made in sorted(zip(p_values, corrected, strict=True))]
    assert all(left <= right for left, right in itertools.pairwise(in_order))


@pytest.mark.parametrize(
    "wrong",
    [{"ratio": Fraction(1, 2)}, {"alpha": Fraction(0)}, {"permutations": 0}, {"least_runs": 0}],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Settings(**wrong)  # type: ignore[arg-type]


def test_each_run_falls_into_one_block() -> None:
    with pytest.raises(ValueError, match="2 latencies and 1 blocks"):
        Series.of([1, 2], [1])
