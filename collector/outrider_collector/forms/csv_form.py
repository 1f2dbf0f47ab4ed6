"""The statement as one CSV table (RFC 4180, UTF-8): a row for each fact, so that spreadsheets can filter and pivot it.

Rules
-----
1. Every field of the statement is a row: `part` is its place in the JSON, `number` counts within lists ("2", "1.3").
2. A share is one row: the percentage as it was cut, with numerator and denominator. Null is an empty value.
3. A text that a spreadsheet would take for a formula (it begins with =, +, -, @ or their wide forms) gets an
   apostrophe in front; whatever is not printable is written as an escape, so a row is always one line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import StringIO
from typing import TypeAlias

from msgspec import UNSET, Struct

from outrider.redact import printable
from outrider_collector.forms.reading import Check, Guarantee, Share, Statement, Target, Window

COLUMNS = ("guarantee", "check", "window", "part", "number", "field", "value", "numerator", "denominator")
LONGEST_CELL = 32_000  # what a spreadsheet holds in one cell, nearly
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


_Row: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a statement a fact stands."""

    guarantee: str = ""
    check: str = ""
    window: str = ""
    part: str = ""
    number: str = ""

    def within(self, name: str) -> _Place:
        return replace(self, part=f"{self.part}.{name}" if self.part else name)

    def at(self, number: int, of: object) -> _Place:
        place = replace(self, number=f"{self.number}.{number}" if self.number else str(number))
        match of:
            case Guarantee():
                return replace(place, guarantee=of.id)
            case Check():
                return replace(place, check=of.check)
            case Window():
                return replace(place, window=of.window)
        return place


def to_csv(statement: Statement) -> bytes:
    """The whole table with its header."""
    out = StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for fact in _rows(statement, _Place()):
        writer.writerow([_cell(each) for each in fact])
    return out.getvalue().encode()


def _row(place: _Place, field: str, value: object, numerator: object = None, denominator: object = None) -> _Row:
    found = (place.guarantee, place.check, place.window, place.part, place.number)
    return (*found, field, value, numerator, denominator)


def _rows(it: Struct, place: _Place) -> Iterator[_Row]:
    for field in it.__struct_fields__:
        yield from _facts(field, getattr(it, field), place)


def _facts(field: str, value: object, place: _Place) -> Iterator[_Row]:
    match value:
        case Share():
            yield _row(place, field, value.percent, value.numerator, value.denominator)
            if isinstance(value, Target):
                yield _row(place.within(field), "strict", value.strict)
        case Struct():
            yield from _rows(value, place.within(field))
        case dict():
            for key, each in sorted(value.items()):
                yield _row(place.within(field), key, each)
        case (str(), *_):
            yield _row(place, field, "; ".join(map(str, value)))
        case tuple():
            for number, each in enumerate(value, start=1):
                within = place.within(field).at(number, each)
                yield from _facts("", each, within) if isinstance(each, Share) else _members(each, within)
        case _ if value is not UNSET:
            yield _row(place, field, value)


def _members(each: object, place: _Place) -> Iterator[_Row]:
    if isinstance(each, Struct):
        yield from _rows(each, place)
    else:
        yield _row(place, "", each)


def _cell(value: object) -> str:
    """Rule 3. What is not a text comes from the statement's own numbers."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            text = printable(value, LONGEST_CELL)
            return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
    return str(value)
