"""The statistics of shuffled blocks against a plain reading of their definitions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from outrider.core.compare import nearest_rank
from outrider.core.shuffling import FAILED, Series, _nth_true, _numbered, _shuffled, _Table

TAIL = Fraction(9, 10)


@pytest.mark.parametrize("seed", range(40))
def test_each_arrangement_has_the_u_and_the_percentiles_that_sorting_it_gives(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sizes = generator.integers(3, 9, 2)
    slow = generator.choice([1, 2, 3, 4, 5, FAILED], 200)
    before = Series(slow[: sizes[0] * 7], np.repeat(np.arange(sizes[0]), 7))
    after = Series(slow[100 : 100 + sizes[1] * 5], np.repeat(np.arange(sizes[1]), 5))
    table = _Table(before, after, TAIL)
    arranged = _shuffled(table.is_after, 5, generator)
    latency, block = np.concatenate([before.latency, after.latency]), _numbered(before, after)
    for row, u, tail in zip(arranged, *table.statistics(arranged), strict=True):
        ours, others = latency[row[block]], latency[~row[block]]
        pairs = sum(int((each > others).sum()) * 2 + int((each == others).sum()) for each in ours)
        assert u == pytest.approx(pairs / 2 / (len(ours) * len(others)))
        assert tail == nearest_rank(ours, TAIL) - nearest_rank(others, TAIL)


def test_every_block_is_as_likely_to_fall_after_as_any_other_and_as_many_do_each_time() -> None:
    is_after = np.arange(10) >= 7
    arranged = _shuffled(is_after, 20_000, np.random.default_rng(1))
    assert set(arranged.sum(axis=1).tolist()) == {3}
    assert arranged.mean(axis=0) == pytest.approx(np.full(10, 0.3), abs=0.02)


def test_the_nth_that_is_true_is_found_in_each_row_or_is_not_there() -> None:
    rows = np.array([[False, True, True], [True, False, False], [False, False, False]])
    assert _nth_true(rows, np.array([2, 1, 1])).tolist() == [2, 0, 3]
    assert _nth_true(rows, np.array([3, 2, 1])).tolist() == [3, 3, 3]
