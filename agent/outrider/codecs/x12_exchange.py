"""How every real-time request and its answer are written: the header, the levels, and the interchange around them.

Rules
-----
1. A request is one interchange with one transaction set. Its answer goes back the way the request came: sender and
   receiver change places, usage stays.
2. Levels count from 1; each hangs below the one before it, and HL04 says whether another one follows.
3. Times are written in UTC, to the second.

What stands on a level is the guide's affair, and its codec's.

Sources: X12.5; X12 005010X279A1, 005010X212, 005010X217, 005010X222A1, 005010X214, which build their sets alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from typing import TypedDict

from outrider.codecs.x12 import Draft, DraftGroup, Interchange, Line, Segment, write, write_groups
from outrider.codecs.x12_loops import refuse
from outrider.codecs.x12_request import Dependent, check_opening, moment


@dataclass(frozen=True, slots=True)
class Guide:
    """An implementation guide for one direction: ST01, GS01 and GS08."""

    set_id: str
    functional_id: str
    version: str


@dataclass(frozen=True, slots=True)
class Request:
    """What every request says, whatever it asks. Raises X12Error where a value cannot be what its field says.

    `control_number` (1 to 999999999) is ISA13 and GS06; `created` is aware, written in UTC to the second; `trace` has
    1 to 50 characters; `reference` is BHT03 where it is not the trace (only requests of others do that); `dependent`
    is the patient, without one the member is.
    """

    sender_id: str
    receiver_id: str
    control_number: int
    trace: str
    payer_name: str
    payer_id: str
    _: KW_ONLY
    created: datetime
    usage: str = "T"
    sender_qualifier: str = "ZZ"
    receiver_qualifier: str = "ZZ"
    dependent: Dependent | None = None
    reference: str = ""

    def __post_init__(self) -> None:
        check_opening(self.control_number, self.trace, self.created, self.usage)

    @property
    def echo(self) -> str:
        """What BHT03 says, and what an answer about the whole request repeats."""
        return self.reference or self.trace


class Opening(TypedDict):
    """The part of a request that its envelope and its header hold, as keywords of `Request`."""

    sender_id: str
    receiver_id: str
    control_number: int
    created: datetime
    usage: str
    sender_qualifier: str
    receiver_qualifier: str


@dataclass(frozen=True, slots=True)
class Level:
    """One level: its letter in loop names, HL03, the segments on it, and whether its guide has HL04 at all."""

    letter: str
    code: str
    lines: Sequence[Line]
    says_what_follows: bool = True


def header_line(structure: str, purpose: str, reference: str, created: datetime, kind: str = "") -> Line:
    """BHT: BHT01, BHT02, BHT03, the time, and BHT06 where the guide has it."""
    return ("BHT", structure, purpose, reference, *_stamp(created), kind)


def level_lines(levels: Sequence[Level], last: str = "") -> list[Line]:
    """HL and segments of each level, from the upper one down to level `last`; without a name, of all."""
    lines: list[Line] = []
    for number, level in enumerate(levels, 1):
        is_last = level.letter == last or number == len(levels)
        follows = ("0" if is_last else "1") if level.says_what_follows else ""
        lines += [("HL", str(number), str(number - 1) if number > 1 else "", level.code, follows), *level.lines]
        if is_last:
            break
    return lines


def write_request(guide: Guide, request: Request, lines: Sequence[Line]) -> bytes:
    """The request as a whole interchange around what stands between ST and SE. Raises X12Error as `x12.write` does."""
    return write(
        [Draft(guide.set_id, tuple(lines))],
        sender=request.sender_id,
        receiver=request.receiver_id,
        control_number=request.control_number,
        created=request.created,
        functional_id=guide.functional_id,
        version=guide.version,
        usage=request.usage,
        sender_qualifier=request.sender_qualifier,
        receiver_qualifier=request.receiver_qualifier,
    )


def write_answer(
    guide: Guide, request: Request, lines: Sequence[Line], *, control_number: int, created: datetime
) -> bytes:
    """The answer to a request as a whole interchange. Raises X12Error as `x12.write` does."""
    group = DraftGroup(guide.functional_id, guide.version, (Draft(guide.set_id, tuple(lines)),))
    return write_answer_groups(request, [group], control_number=control_number, created=created)


def write_answer_groups(
    request: Request, groups: Sequence[DraftGroup], *, control_number: int, created: datetime
) -> bytes:
    """An answer of several groups as one interchange. Raises X12Error as `x12.write_groups` does."""
    return write_groups(
        groups,
        sender=request.receiver_id,
        receiver=request.sender_id,
        control_number=control_number,
        created=created,
        usage=request.usage,
        sender_qualifier=request.receiver_qualifier,
        receiver_qualifier=request.sender_qualifier,
    )


def opening(interchange: Interchange, header: Segment | None, end: Segment) -> Opening:
    """What envelope and header say about a request that is read. Raises X12Error: no-bht, bad-date."""
    return Opening(
        sender_id=interchange.sender,
        receiver_id=interchange.receiver,
        control_number=int(interchange.control_number),
        created=moment(header, end),
        usage=interchange.usage,
        sender_qualifier=interchange.sender_qualifier,
        receiver_qualifier=interchange.receiver_qualifier,
    )


def require(found: Mapping[str, Segment], wanted: Sequence[tuple[str, str, str]], end: Segment) -> None:
    """Raise X12Error at the first of the `wanted` (key, code, what is missing) that was not found."""
    for key, code, what in wanted:
        if key not in found:
            refuse(code, what, end)


def _stamp(created: datetime) -> tuple[str, str]:
    at = created.astimezone(UTC)
    return at.strftime("%Y%m%d"), at.strftime("%H%M%S")
