"""Where a segment of a hierarchical set stands: its loop, found from HL and from the segments that open a loop.

Which levels and openers a guide has is data (`LoopPlan`); the walk is the same for all of them. A loop's name is its
number and its level's letter: "2100C" is the name of the third level.

Where a segment decides what an answer means, the plan also says which loops it may stand in, and whose name a loop
may hold. If the HL above it is lost or damaged, it lands in a loop that is not its own, and the message is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import NoReturn

from outrider.codecs.x12 import Segment, Transaction, X12Error

HEADER = frozenset(("",))
"""The home of BHT."""


@dataclass(frozen=True, slots=True)
class LoopPlan:
    """The loops of a guide.

    `levels` gives a level's letter by HL03; `parents` the letters that a level may hang below ("" for none);
    `openers`, by segment id, the number of the loop that the segment opens or goes back to, by that of the loop it
    is met in. A segment that is no opener there belongs to the loop it is met in. `homes` gives, by segment id, the
    only loops that the segment may stand in, `entities` what NM101 has to be in the loops that are one person's.
    `told` are the ids of the segments that a reader of the answer looks at; without it, all of them.
    """

    levels: Mapping[str, str]
    parents: Mapping[str, tuple[str, ...]]
    openers: Mapping[str, Mapping[str, str]]
    homes: Mapping[str, Set[str]] = field(default_factory=dict)
    entities: Mapping[str, str] = field(default_factory=dict)
    told: Set[str] = frozenset()


def walk(transaction: Transaction, plan: LoopPlan) -> Iterator[tuple[str, Segment]]:
    """Each segment that the plan tells, with its loop ("2100C"; "" for the header and all of a set without levels).

    Raises X12Error("hl-level") where a level does not belong below its parent, "misplaced" for a segment outside its
    homes, "bad-entity" for somebody else's name, "no-hl" at the end if there was no level at all.
    """
    letters, parents, openers = plan.levels, plan.parents, plan.openers
    homes, entities, told = plan.homes, plan.entities, plan.told
    levels = {"": ""}
    loop = level = ""
    for segment in transaction.segments:
        name = segment.id
        if name == "HL":
            parts = segment.parts  # the reader has seen to it that there are three elements
            level = letters.get(parts[3], "?")
            if levels.get(parts[2], "?") not in parents.get(level, ()):
                refuse("hl-level", "this level does not belong below its parent", segment, 3)
            levels[parts[1]] = level
            loop = "2000" + level
        elif level and name in openers:
            number = loop[:4]
            loop = openers[name].get(number, number) + level
            if name == "NM1" and loop in entities and segment.get(1) != entities[loop]:
                refuse("bad-entity", "this is not the name of the person whose loop it is", segment, 1)
        if name in homes and loop not in homes[name]:
            refuse("misplaced", "this segment has no place in the loop that it stands in", segment)
        if not told or name in told:
            yield loop, segment
    if not level:
        refuse("no-hl", "the transaction has no level, not even the information source", transaction.segments[-1])


def header_of(transaction: Transaction, purpose: str) -> Segment:
    """BHT of an answer. Raises X12Error: no-bht, and not-an-answer if BHT02 is not `purpose`."""
    segment = transaction.segments[1]
    if segment.id != "BHT":
        refuse("no-bht", "the set does not begin with BHT", transaction.segments[0])
    if segment.get(2) != purpose:
        refuse("not-an-answer", f"BHT02 is not {purpose}: this is no answer", segment, 2)
    return segment


def refuse(code: str, what: str, segment: Segment, element: int = 0) -> NoReturn:
    """Raise an X12Error about a segment whose id is one that the codecs know."""
    where = f"{segment.id}{element:02d}" if element else segment.id
    raise X12Error(code, what, where, segment.number, segment.offset)
