"""Before and after: did response times get worse? For window verification and for load tests against a baseline.

Rules
-----
1. Two questions are asked of each pair, both one-sided (worse after): of the whole distribution, Mann-Whitney's U; and
   of its tail, the nearest-rank p90. A failure is slower than any answer.
2. Runs that follow each other are alike, so what is shuffled are blocks of time, never single runs: under the null
   hypothesis before and after are the same, and whole blocks could have fallen on either side. The p-value is
   (1 + permutations at least as extreme) / (1 + permutations), or h / n where the h-th such permutation came as the
   n-th: what is plainly not significant is not counted to the end.
3. All questions of all pairs are one family: their p-values are corrected by Holm's step-down method.
4. Slower means: significant *and* of practical size. The size is the ratio of p90s (of medians for the distribution),
   and must reach `ratio`. A difference that is only significant is said, and fails nothing.
5. A pair with too few runs on either side is not judged, and says how many are missing; nor one whose blocks could be
   arranged in so few ways that nothing could be significant.

The random generator is an argument: the same generator gives the same verdict.

Sources: H. B. Mann and D. R. Whitney (1947); S. Holm (1979); for the p-values of permutation tests, J. Besag and
P. Clifford (1991), B. Phipson and G. K. Smyth (2010).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import comb
from typing import TYPE_CHECKING, TypeAlias

from outrider.core.units import Duration

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]

FAILED: Duration = 2**62
"""The latency of a run that failed: longer than any."""

LEAST_RUNS = 200
"""Runs on each side, without which a pair is not judged."""

_ENOUGH = 20
"""As many permutations at least as extreme settle that a difference is not significant (h of rule 2)."""


class Change(StrEnum):
    """What became of a pair."""

    SLOWER = "slower"
    NOT_SLOWER = "not slower"
    TOO_FEW = "too few runs"


@dataclass(frozen=True, slots=True)
class Series:
    """Runs on one side: latency (us; FAILED for one that failed), and the block of time that each one fell into."""

    latency: Ints
    block: Ints

    @classmethod
    def of(cls, latencies: Sequence[Duration], blocks: Sequence[int]) -> Series:
        """From plain numbers. Raises ValueError where the two are not of one length."""
        import numpy as np

        if len(latencies) != len(blocks):
            raise ValueError(f"{len(latencies)} latencies and {len(blocks)} blocks: each run falls into one block")
        return cls(np.array(latencies, dtype=np.int64), np.array(blocks, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Question:
    """One question: the figure before and after (us, None for infinity), their ratio (None where it is infinite or
    nothing can be said), and the p-value, corrected."""

    name: str
    before: Duration | None
    after: Duration | None
    ratio: Fraction | None
    p: float
    is_significant: bool
    is_worse: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """One pair: how many runs and blocks there were on each side, and what the questions say."""

    name: str
    change: Change
    reason: str
    runs: tuple[int, int]
    blocks: tuple[int, int]
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """`ratio` is the least that matters, `alpha` the chance of a false alarm over the whole family. Raises ValueError
    for what cannot be meant."""

    ratio: Fraction = Fraction(6, 5)
    alpha: Fraction = Fraction(1, 20)
    least_runs: int = LEAST_RUNS
    permutations: int = 20_000

    def __post_init__(self) -> None:
        if self.ratio < 1 or not 0 < self.alpha < 1 or self.least_runs < 1:
            raise ValueError("a ratio is at least 1, alpha lies between 0 and 1, and at least one run is needed")
        if self.permutations < 1:
            raise ValueError("at least one permutation is needed")


def compare(
    pairs: Mapping[str, tuple[Series, Series]], generator: np.random.Generator, settings: Settings | None = None
) -> list[Comparison]:
    """Compare each pair (before, after); in the order of the pairs. Pure but for the generator."""
    settings = settings or Settings()
    long_enough = [name for name, pair in pairs.items() if not _too_few_runs(*pair, settings)]
    why_not = {name: _why_not(*pair, settings, 2 * len(long_enough)) for name, pair in pairs.items()}
    raw = {name: _p_values(*pair, generator, settings) for name, pair in pairs.items() if not why_not[name]}
    corrected = iter(holm([p for each in raw.values() for p in each]))
    found = []
    for name, (before, after) in pairs.items():
        runs = len(before.latency), len(after.latency)
        blocks = _blocks(before), _blocks(after)
        if why_not[name]:
            found.append(Comparison(name, Change.TOO_FEW, why_not[name], runs, blocks))
            continue
        questions = tuple(
            _question(title, share, before, after, next(corrected), settings)
            for title, share in (("median", Fraction(1, 2)), ("p90", Fraction(9, 10)))
        )
        change, reason = _judge(questions, settings)
        found.append(Comparison(name, change, reason, runs, blocks, questions))
    return found


def _too_few_runs(before: Series, after: Series, settings: Settings) -> str:
    for side, series in (("before", before), ("after", after)):
        if (missing := settings.least_runs - len(series.latency)) > 0:
            return f"{len(series.latency)} runs {side}; {missing} are missing to {settings.least_runs}"
    return ""


def _why_not(before: Series, after: Series, settings: Settings, family: int) -> str:
    """Rule 5; `family` is how many questions are asked in all."""
    if too_few := _too_few_runs(before, after, settings):
        return too_few
    blocks = _blocks(before), _blocks(after)
    if comb(sum(blocks), blocks[0]) * settings.alpha < 2 * family:
        return f"{blocks[0]} blocks of time before and {blocks[1]} after: too few for any difference to be significant"
    return ""


def _blocks(series: Series) -> int:
    import numpy as np

    return len(np.unique(series.block))


def _question(title: str, share: Fraction, before: Series, after: Series, p: float, settings: Settings) -> Question:
    was, now = nearest_rank(before.latency, share), nearest_rank(after.latency, share)
    ratio = Fraction(now, was) if was and was < FAILED and now < FAILED else None
    is_bigger = now > was if ratio is None else ratio >= settings.ratio
    is_significant = p <= settings.alpha
    return Question(title, _finite(was), _finite(now), ratio, p, is_significant, is_significant and is_bigger)


def _finite(latency: Duration) -> Duration | None:
    return None if latency >= FAILED else latency


def _judge(questions: Sequence[Question], settings: Settings) -> tuple[Change, str]:
    limit = f"{float(settings.ratio):g}"
    worse = [each for each in questions if each.is_worse]
    if worse:
        told = ", ".join(f"{each.name} x {_shown(each.ratio)}" for each in worse)
        return Change.SLOWER, f"{told}: significant, and at least {limit} times"
    if small := [each for each in questions if each.is_significant]:
        told = ", ".join(f"{each.name} x {_shown(each.ratio)}" for each in small)
        return Change.NOT_SLOWER, f"{told}: significant, but less than {limit} times"
    return Change.NOT_SLOWER, "no significant difference"


def _shown(ratio: Fraction | None) -> str:
    return "infinite" if ratio is None else f"{float(ratio):.2f}"


def nearest_rank(latency: Ints, share: Fraction) -> Duration:
    """The value at rank ceil(share x n) of n values in ascending order (nearest rank; no interpolation)."""
    import numpy as np

    rank = -(-share.numerator * len(latency) // share.denominator)
    return int(np.partition(latency, rank - 1)[rank - 1])


def _p_values(before: Series, after: Series, generator: np.random.Generator, settings: Settings) -> tuple[float, float]:
    """Of the U statistic and of p90, by shuffling which blocks were before."""
    import numpy as np

    latency = np.concatenate([before.latency, after.latency])
    block = _numbered(before, after)
    sizes = np.bincount(block)
    # Ranks with ties shared: U differs from the sum of the ranks after by a constant for a given number of runs.
    ranks = _ranks(latency)
    rank_sums = np.bincount(block, weights=ranks)
    order = np.argsort(latency, kind="stable")
    ordered_latency, ordered_block = latency[order], block[order]
    after_blocks = len(sizes) - _blocks(before)

    def extremes(is_after: NDArray[np.bool_]) -> tuple[float, int]:
        n = int(sizes[is_after].sum())
        u = float(rank_sums[is_after].sum()) - n * (n + 1) / 2
        tail = [_ranked(ordered_latency[is_after[ordered_block] == side], Fraction(9, 10)) for side in (True, False)]
        return u / (n * (len(latency) - n)), tail[0] - tail[1]

    observed = np.zeros(len(sizes), dtype=np.bool_)
    observed[-after_blocks:] = True
    seen_u, seen_tail = extremes(observed)
    tests = [_Sequential(seen_u), _Sequential(seen_tail)]
    for _ in range(settings.permutations):
        for test, value in zip(tests, extremes(generator.permutation(observed)), strict=True):
            test.take(value)
        if all(test.is_settled for test in tests):
            break
    return tests[0].p, tests[1].p


@dataclass(slots=True)
class _Sequential:
    """A permutation test that ends early where nothing is to be found (rule 2)."""

    seen: float
    taken: int = 0
    at_least: int = 0

    @property
    def is_settled(self) -> bool:
        return self.at_least >= _ENOUGH

    @property
    def p(self) -> float:
        return self.at_least / self.taken if self.is_settled else (1 + self.at_least) / (1 + self.taken)

    def take(self, value: float) -> None:
        if not self.is_settled:
            self.taken += 1
            self.at_least += value >= self.seen


def _ranked(ordered: Ints, share: Fraction) -> int:
    return int(ordered[-(-share.numerator * len(ordered) // share.denominator) - 1])


def _numbered(before: Series, after: Series) -> Ints:
    """The blocks of both sides, numbered from 0, those before first: a block that has runs of both is two."""
    import numpy as np

    _, first = np.unique(before.block, return_inverse=True)
    _, second = np.unique(after.block, return_inverse=True)
    return np.concatenate([first, second + (int(first.max()) + 1)]).astype(np.int64)


def _ranks(values: Ints) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing the mean of theirs."""
    import numpy as np

    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - counts + 1 + last) / 2)[place]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction: the smallest of m times m, the next times m - 1, ...; never falling, at most 1; order kept."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    corrected, highest = [0.0] * len(p_values), 0.0
    for position, at in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - position) * p_values[at]))
        corrected[at] = highest
    return corrected
