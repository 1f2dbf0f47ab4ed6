"""Where a segment of a hierarchical set stands: its loop, found from HL and from the segments that open a loop.

Which levels and openers a guide has is data (`LoopPlan`); the walk is the same for all of them. A loop's name is its
number and its level's letter: "2100C" is the name of the third level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from outrider.codecs.x12 import Segment, Transaction, X12Error


@dataclass(frozen=True, slots=True)
class LoopPlan:
    """The loops of a guide.

    `levels` gives a level's letter by HL03; `parents` the letters that a level may hang below ("" for none);
    `openers`, by segment id, the number of the loop that the segment opens or goes back to, by that of the loop it
    is met in. A segment that is no opener there belongs to the loop it is met in.
    """

    levels: Mapping[str, str]
    parents: Mapping[str, tuple[str, ...]]
    openers: Mapping[str, Mapping[str, str]]


def walk(transaction: Transaction, plan: LoopPlan) -> Iterator[tuple[str, Segment]]:
    """Each segment with its loop ("2100C"; "" for the header, and for all of a set without levels).

    Raises X12Error("hl-level") where a level does not belong below its parent, X12Error("no-hl") at the end if
    there was no level at all.
    """
    letters, parents, openers = plan.levels, plan.parents, plan.openers
    levels = {"": ""}
    loop = level = ""
    for segment in transaction.segments:
        name = segment.id
        if name == "HL":
            level = letters.get(segment.get(3), "?")
            if levels.get(segment.get(2), "?") not in parents.get(level, ()):
                refuse("hl-level", "this level does not belong below its parent", segment, 3)
            levels[segment.get(1)] = level
            loop = "2000" + level
        elif level and name in openers:
            number = loop[:4]
            loop = openers[name].get(number, number) + level
        yield loop, segment
    if not level:
        refuse("no-hl", "the transaction has no level, not even the information source", transaction.segments[-1])


def refuse(code: str, what: str, segment: Segment, element: int = 0) -> NoReturn:
    """Raise an X12Error about a segment whose id is one that the codecs know."""
    where = f"{segment.id}{element:02d}" if element else segment.id
    raise X12Error(code, what, where, segment.number, segment.offset)
