"""The loops of 005010X279A1 (270 and 271).

Level A is the information source (the payer), B the information receiver (the provider), C the subscriber,
D the dependent. Loop 2000 is the level itself, 2100 its name, 2110 one inquiry or benefit, 2120 an entity that
belongs to a benefit.
"""

from __future__ import annotations

from collections.abc import Iterator

from outrider.codecs.x12 import Segment, Transaction
from outrider.codecs.x12_loops import LoopPlan
from outrider.codecs.x12_loops import walk as walk_by_plan

VERSION = "005010X279A1"

_TO_BENEFIT = dict.fromkeys(("2000", "2100", "2110", "2120"), "2110")
_PLAN = LoopPlan(
    levels={"20": "A", "21": "B", "22": "C", "23": "D"},
    parents={"A": ("",), "B": ("A",), "C": ("B",), "D": ("C",)},
    openers={
        "NM1": {"2000": "2100", "2100": "2100", "2110": "2120", "2120": "2120"},
        "EB": _TO_BENEFIT,
        "EQ": _TO_BENEFIT,
        "LE": _TO_BENEFIT,
    },
)


def walk(transaction: Transaction) -> Iterator[tuple[str, Segment]]:
    """Each segment with its loop; see `x12_loops.walk`."""
    return walk_by_plan(transaction, _PLAN)
