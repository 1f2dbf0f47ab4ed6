"""Before and after: did response times get worse? For window verification and for load tests against a baseline.

Rules
-----
1. Two questions are asked of each pair, both one-sided (worse after): of the whole distribution, Mann-Whitney's U; and
   of its tail, the nearest-rank p90. A failure is slower than any answer.
2. Runs that follow each other are alike, so what is shuffled are blocks of time, never single runs: under the null
   hypothesis before and after are the same, and whole blocks could have fallen on either side. Blocks whose neighbours
   are alike too are joined until they are not (`core.shuffling`, also for the p-values).
3. All questions of all pairs are one family: their p-values are corrected by Holm's step-down method.
4. Slower means: significant *and* of practical size. The size is the ratio of p90s (of medians for the distribution),
   and must reach `ratio`. A difference that is only significant is said, and fails nothing.
5. A pair with too few runs on either side is not judged, and says how many are missing; nor one whose blocks could be
   arranged in so few ways that nothing could be significant. There are always permutations enough for the family.

The random generator is an argument: the same generator gives the same verdict.

Sources: H. B. Mann and D. R. Whitney (1947); S. Holm (1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import ceil, comb
from typing import TYPE_CHECKING, TypeAlias

from outrider.core.shuffling import FAILED, Series, joined, p_values
from outrider.core.units import Duration

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]

__all__ = [
    "FAILED",
    "LEAST_RUNS",
    "Change",
    "Comparison",
    "Question",
    "Series",
    "Settings",
    "compare",
    "holm",
    "nearest_rank",
]

LEAST_RUNS = 200
"""Runs on each side, without which a pair is not judged."""

_TAIL = Fraction(9, 10)


class Change(StrEnum):
    """What became of a pair."""

    SLOWER = "slower"
    NOT_SLOWER = "not slower"
    TOO_FEW = "too few runs"


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
    too_few = {name: _too_few_runs(*pair, settings) for name, pair in pairs.items()}
    whole = {name: pair if too_few[name] else joined(*pair, settings.ratio) for name, pair in pairs.items()}
    family = 2 * sum(not each for each in too_few.values())
    why_not = {name: too_few[name] or _too_few_blocks(*pair, settings, family) for name, pair in whole.items()}
    permutations = max(settings.permutations, ceil(2 * family / settings.alpha))
    raw = [p_values(*pair, generator, permutations, _TAIL) for name, pair in whole.items() if not why_not[name]]
    corrected = iter(holm([p for each in raw for p in each]))
    found = []
    for name, (before, after) in whole.items():
        runs = len(before.latency), len(after.latency)
        blocks = _blocks(before), _blocks(after)
        if why_not[name]:
            found.append(Comparison(name, Change.TOO_FEW, why_not[name], runs, blocks))
            continue
        questions = tuple(
            _question(title, share, before, after, next(corrected), settings)
            for title, share in (("median", Fraction(1, 2)), ("p90", _TAIL))
        )
        change, reason = _judge(questions, settings)
        found.append(Comparison(name, change, reason, runs, blocks, questions))
    return found


def _too_few_runs(before: Series, after: Series, settings: Settings) -> str:
    for side, series in (("before", before), ("after", after)):
        if (missing := settings.least_runs - len(series.latency)) > 0:
            return f"{len(series.latency)} runs {side}; {missing} are missing to {settings.least_runs}"
    return ""


def _too_few_blocks(before: Series, after: Series, settings: Settings, family: int) -> str:
    """Rule 5; `family` is how many questions are asked in all."""
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


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction: the smallest of m times m, the next times m - 1, ...; never falling, at most 1; order kept."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    corrected, highest = [0.0] * len(p_values), 0.0
    for position, at in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - position) * p_values[at]))
        corrected[at] = highest
    return corrected
