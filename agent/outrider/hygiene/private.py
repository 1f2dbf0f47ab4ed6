"""What a scenario says about its made-up people, and the numbers of their bank accounts: shown nowhere, so that nothing
changes when the people are not."""

from __future__ import annotations

from collections.abc import Iterator

from outrider.hygiene.rules import as_written
from outrider.hygiene.walking import Place, fields, names
from outrider.scenario import OPAQUE, Scenario

_PEOPLE = frozenset((
    "member", "dependent", "subscriber", "patient", "insured", "cardholder", "beneficiary", "accountholder", "owner",
    "avs", "billing", "billingaddress", "billingdetails", "address",
))  # fmt: skip
_PERSONAL = frozenset((
    "last", "first", "lastname", "firstname", "family", "given", "surname", "birthdate", "dob", "dateofbirth",
    "memberid", "subscriberid", "ssn", "holder", "holdername", "cardholdername", "accountholdername", "accountname",
    "nameonaccount", "nameoncard", "addressline", "street", "postalcode", "zip", "zipcode",
    "fullname", "middlename", "email", "phone", "accountnumber", "bankaccountnumber", "acctnumber", "accountno",
))  # fmt: skip
_SHORTEST = 3
_SHORTEST_NUMBER = 6
"""Digits; a shorter number stands in too many other places."""


def private_values(scenario: Scenario) -> Iterator[str]:
    """Names, ids, birth dates, addresses and account numbers in a scenario's requests, as they stand there."""
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
    named = names(place)
    return bool(_PEOPLE.intersection(named)) or (bool(named) and named[-1] in _PERSONAL)
