"""The loops of 005010X279A1 (270 and 271).

Level A is the information source (the payer), B the information receiver (the provider), C the subscriber,
D the dependent. Loop 2000 is the level itself, 2100 its name, 2110 one inquiry or benefit, 2120 an entity that
belongs to a benefit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from outrider.codecs.x12 import Segment, Transaction
from outrider.codecs.x12_loops import HEADER, LoopPlan
from outrider.codecs.x12_loops import walk as walk_by_plan

VERSION = "005010X279A1"

_TO_BENEFIT = dict.fromkeys(("2000", "2100", "2110", "2120"), "2110")
_REQUEST = LoopPlan(
    levels={"20": "A", "21": "B", "22": "C", "23": "D"},
    parents={"A": ("",), "B": ("A",), "C": ("B",), "D": ("C",)},
    openers={
        "NM1": {"2000": "2100", "2100": "2100", "2110": "2120", "2120": "2120"},
        "EB": _TO_BENEFIT,
        "EQ": _TO_BENEFIT,
        "LE": _TO_BENEFIT,
    },
)
_TO_NAMED_BENEFIT = dict.fromkeys(("2100", "2110", "2120"), "2110")
RESPONSE = replace(
    _REQUEST,
    openers={**_REQUEST.openers, "EB": _TO_NAMED_BENEFIT, "LE": _TO_NAMED_BENEFIT},
    homes={
        "BHT": HEADER,
        "TRN": frozenset(("2000C", "2000D")),
        "AAA": frozenset(("2000A", "2100A", "2100B", "2100C", "2100D", "2110C", "2110D")),
        "EB": frozenset(("2110C", "2110D")),
    },
    entities={"2100C": "IL", "2100D": "03"},
    told=frozenset(("HL", "TRN", "AAA", "EB")),
)
"""A benefit belongs to somebody who has been named."""


def walk(transaction: Transaction) -> Iterator[tuple[str, Segment]]:
    """Each segment of a 270 with its loop; see `x12_loops.walk`."""
    return walk_by_plan(transaction, _REQUEST)
