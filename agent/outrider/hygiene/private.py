"""What a scenario says about its made-up people: shown nowhere, so that nothing changes when the people are not."""

from __future__ import annotations

import re
from collections.abc import Iterator

from outrider.hygiene.rules import as_written
from outrider.hygiene.walking import Place, fields
from outrider.scenario import OPAQUE, Scenario

_PEOPLE = frozenset(("member", "dependent", "subscriber", "patient", "insured", "cardholder", "beneficiary"))
_PERSONAL = frozenset((
    "last", "first", "lastname", "firstname", "family", "given", "surname", "birthdate", "dob", "dateofbirth",
    "memberid", "subscriberid", "cardholdername", "accountholder", "accountholdername", "ssn",
    "holder", "holdername", "nameoncard", "fullname", "middlename", "email", "phone",
))  # fmt: skip
_NOT_A_LETTER = re.compile(r"[^a-z]")
_NESTED = re.compile(r"[\[\].:]")
_SHORTEST = 3
_SHORTEST_NUMBER = 6
"""Digits; a shorter number stands in too many other places."""


def private_values(scenario: Scenario) -> Iterator[str]:
    """Names, ids and birth dates in a scenario's requests, as they stand there."""
    for _, step in scenario.located_steps():
        for place, leaf in fields(as_written(scenario, step)):
            if _is_personal(place):
                yield from _said(leaf)


def _said(leaf: object) -> Iterator[str]:
    if isinstance(leaf, str):
        yield from (part for part in leaf.split(OPAQUE) if len(part) >= _SHORTEST)
    elif isinstance(leaf, int) and len(str(leaf)) >= _SHORTEST_NUMBER:
        yield str(leaf)


def _is_personal(place: Place) -> bool:
    parts = [part for key in place for part in _NESTED.split(str(key).lower())]
    keys = [_NOT_A_LETTER.sub("", part) for part in parts]
    named = [key for key in keys if key]
    return bool(_PEOPLE.intersection(named)) or (bool(named) and named[-1] in _PERSONAL)
