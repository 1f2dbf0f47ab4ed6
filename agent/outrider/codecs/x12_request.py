"""What the requests of several guides share: the people they are about, their header, and their checks.

Rules
-----
1. Names, ids and birth dates are left out of every `repr`.
2. Values are checked where they are made, with the element that they would stand in.

Source: X12 005010X279A1 (270), 005010X212 (276), which name people and trace requests alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from outrider.codecs.x12 import Interchange, Line, Segment, Transaction, X12Error
from outrider.codecs.x12_loops import refuse

DATE = re.compile(r"[0-9]{8}")
_GENDERS = ("", "M", "F", "U")


@dataclass(frozen=True, slots=True)
class Member:
    """A subscriber. Synthetic people only. `birth_date` is "YYYYMMDD"; "" stands for what is not known."""

    last: str = field(repr=False)
    first: str = field(repr=False)
    member_id: str = field(repr=False)
    birth_date: str = field(repr=False)
    gender: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        _check_person(self.birth_date, self.gender)


@dataclass(frozen=True, slots=True)
class Dependent:
    """A patient insured through a member; has no id of its own."""

    last: str = field(repr=False)
    first: str = field(repr=False)
    birth_date: str = field(repr=False)
    gender: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        _check_person(self.birth_date, self.gender)


def check_opening(control_number: int, trace: str, created: datetime, usage: str) -> None:
    """Raise X12Error where a request's numbers cannot be what their fields say."""
    if not 1 <= control_number <= 999_999_999:
        raise X12Error("control-number", "the control number is not between 1 and 999999999", "ISA13")
    if not 1 <= len(trace) <= 50:
        raise X12Error("no-trn", "a trace has 1 to 50 characters", "TRN02")
    if created.tzinfo is None:
        raise X12Error("bad-date", "the time of creation has no offset; give an aware time", "BHT04")
    if usage not in ("T", "P"):
        raise X12Error("isa15", "the usage indicator is neither T nor P", "ISA15")


def organisation_line(entity: str, name: str, qualifier: str, identifier: str) -> Line:
    """NM1 of an organisation; NM108 and NM109 both or neither."""
    return ("NM1", entity, "2", name, "", "", "", "", *_identified(qualifier, identifier))


def person_line(entity: str, person: Member | Dependent) -> Line:
    """NM1 of a member or a dependent."""
    member_id = person.member_id if isinstance(person, Member) else ""
    return ("NM1", entity, "1", person.last, person.first, "", "", "", *_identified("MI", member_id))


def demographic_lines(person: Member | Dependent) -> list[Line]:
    """DMG, where there is something to say in it."""
    if not person.birth_date and not person.gender:
        return []
    return [("DMG", "D8" if person.birth_date else "", person.birth_date, person.gender)]


def check_originator(originator: str) -> None:
    """Raise X12Error for a trace's originator (TRN03) that is there and has not its 10 characters."""
    if len(originator) not in (0, 10):
        raise X12Error("bad-originator", "the trace's originator has 10 characters", "TRN03")


def member_of(name: Segment, birth: Segment | None) -> Member:
    """A member from NM1 and DMG. Raises X12Error as `Member` does."""
    return Member(name.get(3), name.get(4), name.get(9), *demographics(birth))


def dependent_of(name: Segment, birth: Segment | None) -> Dependent:
    """A dependent from NM1 and DMG. Raises X12Error as `Dependent` does."""
    return Dependent(name.get(3), name.get(4), *demographics(birth))


def demographics(segment: Segment | None) -> tuple[str, str]:
    """Birth date and gender from DMG."""
    return (segment.get(2), segment.get(3)) if segment else ("", "")


def only_transaction(interchange: Interchange, set_id: str, version: str) -> Transaction:
    """The one transaction of a real-time request. Raises X12Error: wrong-set, wrong-version."""
    sets = interchange.transactions
    if len(sets) != 1 or sets[0].set_id != set_id:
        raise X12Error("wrong-set", f"the interchange is not one {set_id}", "ST01")
    if sets[0].version != version:
        raise X12Error("wrong-version", f"the {set_id} is not one of {version}", "GS08")
    return sets[0]


def moment(segment: Segment | None, end: Segment) -> datetime:
    """BHT04 and BHT05 (HHMM, or longer) as an aware time in UTC. Raises X12Error: no-bht, bad-date."""
    if segment is None:
        refuse("no-bht", "there is no BHT", end)
    text = segment.get(4) + segment.get(5)[:6]
    if len(text) not in (12, 14) or not text.isdecimal():
        refuse("bad-date", "BHT04 and BHT05 are not a date and a time", segment, 4)
    try:
        return datetime.strptime(text.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        refuse("bad-date", "BHT04 and BHT05 are not a date and a time", segment, 4)


def _identified(qualifier: str, value: str) -> tuple[str, ...]:
    return (qualifier, value) if value else ()


def _check_person(birth_date: str, gender: str) -> None:
    if birth_date and not DATE.fullmatch(birth_date):
        raise X12Error("bad-date", "the birth date is not YYYYMMDD", "DMG02")
    if gender not in _GENDERS:
        raise X12Error("bad-code", "the gender is neither M, F nor U", "DMG03")
