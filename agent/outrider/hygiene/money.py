"""What a request asks for in money (rule 2).

An amount is what stands under a key with "amount" in its name, in any mapping of the request, in a body that is JSON,
XML or a form, and in a path's query. Below such a key every number counts, but for those under another currency's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from outrider.hygiene.walking import Place, fields, names
from outrider.scenario import OPAQUE, Money

PAYING_KINDS = frozenset(("http", "iso8583"))
"""The probes whose requests can move money. A claim's charges, in X12, move none."""

_CURRENCY = re.compile(r"[A-Z]{3}")
_MINOR = re.compile(r"[0-9]{1,18}")
_MAJOR = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,6})?")
_EXPONENTS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF",
                     "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}  # fmt: skip
"""Decimals of a currency where they are not two (ISO 4217)."""


_BY_NUMBER = {
    "032": "ARS", "036": "AUD", "048": "BHD", "124": "CAD", "152": "CLP", "156": "CNY", "170": "COP", "203": "CZK",
    "208": "DKK", "344": "HKD", "348": "HUF", "352": "ISK", "356": "INR", "360": "IDR", "376": "ILS", "392": "JPY",
    "400": "JOD", "410": "KRW", "414": "KWD", "458": "MYR", "484": "MXN", "512": "OMR", "554": "NZD", "578": "NOK",
    "604": "PEN", "608": "PHP", "682": "SAR", "702": "SGD", "704": "VND", "710": "ZAR", "752": "SEK", "756": "CHF",
    "764": "THB", "784": "AED", "788": "TND", "826": "GBP", "840": "USD", "901": "TWD", "946": "RON", "949": "TRY",
    "978": "EUR", "980": "UAH", "985": "PLN", "986": "BRL",
}  # fmt: skip
"""Currencies by their number (ISO 4217), as ISO 8583 names them. One that is not here is nobody's limit."""


def check_settings(money: Money) -> Iterator[tuple[str, str]]:
    """What is wrong with the key `money` itself: (key, message)."""
    if money.max_amount < 0:
        yield "max_amount", "the most that a request may ask for cannot be less than nothing"
    if not _CURRENCY.fullmatch(money.currency):
        yield "currency", f"{money.currency!r} is not a currency; write it like USD"


def amounts(request: Mapping[str, Any]) -> Iterator[tuple[Place, object]]:
    """Every amount in a request, as it stands there."""
    for place, leaf in fields(request):
        if any("amount" in str(key).lower() for key in place) and not _names_a_currency(place):
            yield place, leaf


def _names_a_currency(place: Place) -> bool:
    return "currency" in "".join(names(place)[-1:])


def currencies(request: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Every currency that a request names, in letters; one that is named by a number is a text or a number of three
    digits."""
    for place, leaf in fields(request):
        if not _names_a_currency(place) or isinstance(leaf, bool):
            continue
        if isinstance(leaf, int):
            yield place, _BY_NUMBER.get(f"{leaf:03d}", str(leaf))
        elif isinstance(leaf, str) and OPAQUE not in leaf:
            yield place, _BY_NUMBER.get(leaf, leaf)


def in_minor_units(amount: object, money: Money) -> int:
    """An amount as the service reads it, in minor units. Raises ValueError where it is none, or could be read twice."""
    text = "" if isinstance(amount, bool) or amount is None else str(amount)
    if money.unit == "minor":
        if not _MINOR.fullmatch(text):
            raise ValueError(
                "an amount is written in minor units (100 for 1.00), or the scenario says 'unit: major' under 'money'"
            )
        return int(text)
    exact = Decimal(text).scaleb(_EXPONENTS.get(money.currency, 2)) if _MAJOR.fullmatch(text) else None
    if exact is None or exact != int(exact):
        raise ValueError(f"this is not an amount of {money.currency}")
    return int(exact)


def too_much(amount: object, money: Money) -> str:
    """Why an amount must not be sent; "" if it may be."""
    try:
        minor = in_minor_units(amount, money)
    except ValueError as error:
        return str(error)
    if minor <= money.max_amount:
        return ""
    return f"{minor} is more than the {money.max_amount} (minor units of {money.currency}) that 'money' allows"
