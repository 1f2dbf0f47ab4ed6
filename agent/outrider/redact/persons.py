"""Rules 3 and 4: social security numbers, and X12 segments about a person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from outrider.redact.spans import MASK_CHARACTER, Span, end_of_match

_SSN = re.compile(r"(?<![0-9])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9])")


def ssn_spans(text: str) -> Iterator[Span]:
    """Rule 3."""
    for found in _SSN.finditer(text):
        yield Span(*found.span())


_ISA = re.compile(r"(?<![A-Za-z0-9])ISA(?=([\x01-\x1f!-/:-@\[-`{-~]))[\s\S]{102}([\x01-\x1f!-/:-@\[-`{-~])")
_ISA_SEPARATORS = (6, 17, 20, 31, 103)  # some of the places that hold one
_USUAL_SEPARATORS = "*|^"
_USUAL_ENDS = "~\x1d\r\n"
_PERSONS = frozenset(("IL", "03", "QC", "74"))  # subscriber, dependent, patient, corrected subscriber
_PERSONAL_REFERENCES = frozenset(("SY", "EJ", "1K"))  # social security, patient account and payer claim number
_FIRST_PRIVATE = {"NM1": 3, "REF": 2}  # element; from the first one in the other segments
_LAST_PRIVATE = {"CLM": 1}  # element; to the end in the other segments


def x12_spans(text: str) -> Iterator[Span]:
    """Rule 4. What an ISA says holds up to the next one."""
    headers = [found for found in _ISA.finditer(text) if _is_isa(found)]
    starts = [0, *(found.start() for found in headers), len(text)]
    for (start, end), header in zip(pairwise(starts), (None, *headers), strict=True):
        yield from _person_spans(text, start, end, header[1] if header else "", header[2] if header else "")


def _is_isa(found: re.Match[str]) -> bool:
    return found[1] != found[2] and all(found[0][place] == found[1] for place in _ISA_SEPARATORS)


def _person_spans(text: str, start: int, end: int, separator: str, terminator: str) -> Iterator[Span]:
    separators = re.escape(_USUAL_SEPARATORS + separator)
    segment = re.compile(
        rf"(?<![A-Za-z0-9{separators}{MASK_CHARACTER}])(NM1|DMG|N3|N4|REF|CLM)([{separators}])([^{separators}]{{0,8}})"
    )
    position = start
    while found := segment.search(text, position, end):
        position = found.end(2)
        if _is_about_a_person(found[1], found[3].strip()):
            ends = terminator if found[2] == separator else _USUAL_ENDS
            position = end_of_match(re.compile(f"[{re.escape(ends)}]").search(text, position, end), end)
            yield from _private_elements(text[found.end(2) : position], found)


def _is_about_a_person(segment: str, qualifier: str) -> bool:
    match segment:
        case "NM1":
            return qualifier in _PERSONS
        case "REF":
            return qualifier in _PERSONAL_REFERENCES
    return True


def _private_elements(elements: str, segment: re.Match[str]) -> Iterator[Span]:
    place = segment.end(2)
    for number, element in enumerate(elements.split(segment[2]), 1):
        if number > _LAST_PRIVATE.get(segment[1], number):
            break
        if number >= _FIRST_PRIVATE.get(segment[1], 1) and element.strip():
            yield Span(place, place + len(element))
        place += len(element) + 1
