"""Shuffling blocks of time: how long blocks have to be, and the p-values of what was seen. For `core.compare`.

Rules
-----
1. Blocks may be shuffled only if nothing but chance makes neighbours alike. Where their resemblance is enough for the
   level to wander a good part of the way to `ratio` by itself, two and two are joined, and looked at again. What
   wanders less is left to the ratio, which it does not reach.
2. The p-value is (1 + permutations at least as extreme) / (1 + permutations), or h / n where the h-th such permutation
   came as the n-th: what is plainly not significant is not counted to the end.

Sources: for joined blocks, H. R. Kuensch (1989); for the p-values, J. Besag and P. Clifford (1991), B. Phipson and
G. K. Smyth (2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import log
from typing import TYPE_CHECKING, TypeAlias

from outrider.core.units import Duration

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Floats: TypeAlias = NDArray[np.float64]
    Bools: TypeAlias = NDArray[np.bool_]

FAILED: Duration = 2**62
"""The latency of a run that failed: longer than any."""

_ENOUGH = 20
"""As many permutations at least as extreme settle that a difference is not significant (h of rule 2)."""

_SMALLEST_BATCH, _BATCH = 64, 256
_WANDERS = 3.0
"""A level whose slow part has a standard deviation (of the log) of a third of the ratio's counts as wandering."""


@dataclass(frozen=True, slots=True)
class Series:
    """Runs on one side: latency (us; FAILED for one that failed), and the block of time that each one fell into,
    numbered in order of time."""

    latency: Ints
    block: Ints

    @classmethod
    def of(cls, latencies: Sequence[Duration], blocks: Sequence[int]) -> Series:
        """From plain numbers. Raises ValueError where the two are not of one length."""
        import numpy as np

        if len(latencies) != len(blocks):
            raise ValueError(f"{len(latencies)} latencies and {len(blocks)} blocks: each run falls into one block")
        return cls(np.array(latencies, dtype=np.int64), np.array(blocks, dtype=np.int64))


# --- how long a block has to be --------------------------------------------------------------------------------------


def joined(before: Series, after: Series, ratio: Fraction) -> tuple[Series, Series]:
    """Both sides with blocks so long that they may be shuffled (rule 1). There is at least one run on each side."""
    doublings = 0
    while _wanders(_doubled(before, doublings), _doubled(after, doublings), ratio, may_be_chance=doublings == 0):
        doublings += 1
    return _doubled(before, doublings), _doubled(after, doublings)


def _doubled(side: Series, times: int) -> Series:
    return Series(side.latency, side.block >> times)


def _wanders(before: Series, after: Series, ratio: Fraction, *, may_be_chance: bool) -> bool:
    """Whether neighbouring blocks of one side are alike by enough to matter, and, where that is not known yet, by more
    than chance: the fewer blocks there are, the less they could show it again."""
    import numpy as np

    parts = [_neighbours(side, _finite_most(before, after)) for side in (before, after)]
    left, right = (np.concatenate([each[at] for each in parts]) for at in (0, 1))
    if not len(left):
        return False
    spread = float((left @ left + right @ right) / (2 * len(left)))
    together = float(left @ right) / len(left)
    is_chance = may_be_chance and together * len(left) ** 0.5 <= spread
    return not is_chance and together > (log(ratio) / _WANDERS) ** 2


def _finite_most(before: Series, after: Series) -> int:
    """The slowest answer of both sides; a failure counts as twice that, so that it has a logarithm."""
    import numpy as np

    every = np.concatenate([before.latency, after.latency])
    return int(every[every < FAILED].max(initial=1))


def _neighbours(side: Series, slowest: int) -> tuple[Floats, Floats]:
    """How far from the side's level (mean log of latency) each block is that is followed by the next one, and that."""
    import numpy as np

    names, place = np.unique(side.block, return_inverse=True)
    means = np.bincount(place, weights=np.log(np.clip(side.latency, 1, 2 * slowest))) / np.bincount(place)
    means -= means.mean()
    follows = np.diff(names) == 1
    return means[:-1][follows], means[1:][follows]


# --- what was seen, against what shuffling makes of it ---------------------------------------------------------------


def p_values(
    before: Series, after: Series, generator: np.random.Generator, permutations: int, share: Fraction
) -> tuple[float, float]:
    """Of the U statistic and of the nearest-rank percentile `share`, by shuffling which blocks were before."""
    import numpy as np

    table = _Table(before, after, share)
    seen_u, seen_tail = table.statistics(table.is_after[np.newaxis])
    u, tail = _Sequential(float(seen_u[0])), _Sequential(int(seen_tail[0]))
    left, batch = permutations, _SMALLEST_BATCH
    while left > 0 and not (u.is_settled and tail.is_settled):
        shuffled = _shuffled(table.is_after, min(left, batch), generator)
        values_u, values_tail = table.statistics(shuffled)
        u.take(values_u)
        tail.take(values_tail)
        left, batch = left - len(shuffled), _BATCH
    return u.p, tail.p


class _Table:
    """Both sides, sorted once, so that each arrangement of the blocks is looked up and nothing is sorted again."""

    def __init__(self, before: Series, after: Series, share: Fraction) -> None:
        import numpy as np

        latency, block = np.concatenate([before.latency, after.latency]), _numbered(before, after)
        self._sizes = np.bincount(block).astype(np.float64)
        # Ranks with ties shared: U differs from the sum of the ranks after by a constant for a given number of runs.
        self._rank_sums = np.bincount(block, weights=_ranks(latency))
        slowest_first = np.argsort(latency, kind="stable")[::-1]
        self._latency, self._block = latency[slowest_first], block[slowest_first]
        self._share = share
        self.is_after = np.arange(len(self._sizes)) >= len(np.unique(before.block))

    def statistics(self, is_after: Bools) -> tuple[Floats, Ints]:
        """U as a share, and percentile after minus percentile before; for each row, an arrangement of the blocks."""
        import numpy as np

        weights = is_after.astype(np.float64)
        n, total = weights @ self._sizes, len(self._latency)
        u = (weights @ self._rank_sums - n * (n + 1) / 2) / (n * (total - n))
        at = [self._rank_from_the_slowest(each) for each in (n.astype(np.int64), total - n.astype(np.int64))]
        slow = total * 3 // 10  # where nearly every percentile lies that is asked for; the rest is looked up in full
        found = self._places(is_after, at, slow)
        if rest := np.flatnonzero((found == slow).any(axis=0)).tolist():
            found[:, rest] = self._places(is_after[rest], [each[rest] for each in at], total)
        # A failure is 2**62, so that the difference of two latencies always fits.
        return u, self._latency[found[0]] - self._latency[found[1]]

    def _rank_from_the_slowest(self, n: Ints) -> Ints:
        """From 1: nearest rank ceil(share x n) counted from the other end."""
        found: Ints = n + 1 + (-self._share.numerator * n) // self._share.denominator
        return found

    def _places(self, is_after: Bools, at: list[Ints], most: int) -> Ints:
        """Where among the `most` slowest runs the wanted one after, and before, is; `most` where it is not there."""
        import numpy as np

        rows = is_after[:, self._block[:most]]
        return np.stack([_nth_true(rows, at[0]), _nth_true(~rows, at[1])])


def _nth_true(rows: Bools, nth: Ints) -> Ints:
    """In each row the place of the nth (from 1) that is true; the row's length where there are fewer."""
    import numpy as np

    counts, places = np.count_nonzero(rows, axis=1), np.flatnonzero(rows)
    wanted = np.cumsum(counts) - counts + nth - 1
    width = rows.shape[1]
    found = np.full(len(rows), width, dtype=np.int64)
    is_there = nth <= counts
    found[is_there] = places[wanted[is_there]] % width
    return found


def _shuffled(is_after: Bools, rows: int, generator: np.random.Generator) -> Bools:
    """So many arrangements with as many blocks after: those with the largest of equally likely numbers."""
    import numpy as np

    keys, first = generator.random((rows, len(is_after))), int(np.count_nonzero(~is_after))
    found: Bools = keys >= np.partition(keys, first, axis=1)[:, first : first + 1]
    return found


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

    def take(self, values: Floats | Ints) -> None:
        """The next permutations in order; those after the settling one count no more."""
        import numpy as np

        if self.is_settled:
            return
        hits = np.flatnonzero(values >= self.seen)
        wanted = _ENOUGH - self.at_least
        self.taken += len(values) if len(hits) < wanted else int(hits[wanted - 1]) + 1
        self.at_least += min(len(hits), wanted)


def _numbered(before: Series, after: Series) -> Ints:
    """The blocks of both sides, numbered from 0, those before first: a block that has runs of both is two."""
    import numpy as np

    _, first = np.unique(before.block, return_inverse=True)
    _, second = np.unique(after.block, return_inverse=True)
    return np.concatenate([first, second + (int(first.max()) + 1)]).astype(np.int64)


def _ranks(values: Ints) -> Floats:
    """Ranks from 1, equal values sharing the mean of theirs."""
    import numpy as np

    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - counts + 1 + last) / 2)[place]
