"""Where a segment of a 270 or 271 stands: the loops of 005010X279A1, found from HL, NM1, EQ, EB and LE.

Level A is the information source (the payer), B the information receiver (the provider), C the subscriber,
D the dependent. Loop 2000 is the level itself, 2100 its name, 2110 one inquiry or benefit, 2120 an entity that
belongs to a benefit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from outrider.codecs.x12 import Segment, Transaction, X12Error

VERSION = "005010X279A1"

_LEVELS = {"20": "A", "21": "B", "22": "C", "23": "D"}
_PARENT_LEVELS = {"A": "", "B": "A", "C": "B", "D": "C"}
_OPENERS = {"NM1": ("2100", "2120"), "EB": ("", "2110"), "EQ": ("", "2110"), "LE": ("", "2110")}
"""The loop that a segment opens or goes back to, outside and inside one about a benefit."""


def walk(transaction: Transaction) -> Iterator[tuple[str, Segment]]:
    """Each segment with its loop ("2100C"; "" for the header and the trailer, in front of the first level).

    Raises X12Error("hl-level") where a level does not belong below its parent, X12Error("no-hl") at the end if
    there was no level at all.
    """
    levels = {"": ""}
    loop = level = ""
    for segment in transaction.segments:
        name = segment.id
        if name == "HL":
            level = _LEVELS.get(segment.get(3), "?")
            if _PARENT_LEVELS.get(level) != levels.get(segment.get(2), "?"):
                refuse("hl-level", "this level does not belong below its parent", segment, 3)
            levels[segment.get(1)] = level
            loop = "2000" + level
        elif level and name in _OPENERS:
            inside_benefit = name != "NM1" or loop[:4] in ("2110", "2120")
            loop = _OPENERS[name][inside_benefit] + level
        yield loop, segment
    if not level:
        refuse("no-hl", "the transaction has no level, not even the information source", transaction.segments[-1])


def refuse(code: str, what: str, segment: Segment, element: int = 0) -> NoReturn:
    """Raise an X12Error about a segment whose id is one that this codec knows."""
    where = f"{segment.id}{element:02d}" if element else segment.id
    raise X12Error(code, what, where, segment.number, segment.offset)
