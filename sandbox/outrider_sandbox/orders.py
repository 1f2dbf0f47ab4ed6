"""Reading what clients send to the gateway, strictly: every field known, in range, and named when it is wrong.

Raises Refusal (400, code "invalid_request", with the field's name); no message repeats a value that could be a
card number or a security code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from outrider_sandbox.answers import Refusal
from outrider_sandbox.cards import holds_a_number

MOST = 99_999_999
_REFERENCE = re.compile(r"[!-~]{1,64}")
_METADATA_MOST = 20
_CARD = ("number", "exp_month", "exp_year", "cvc")


@dataclass(frozen=True, slots=True)
class CardGiven:
    """A card as the client gave it. It lives only as long as the request, and its repr hides it."""

    number: str = field(repr=False)
    exp_month: int
    exp_year: int


@dataclass(frozen=True, slots=True)
class Wish:
    """A wish for an authorization or a sale; `amount` in minor units."""

    amount: int
    currency: str
    reference: str
    card: CardGiven
    metadata: Mapping[str, str]


def read_wish(body: Mapping[str, object]) -> Wish:
    """Read {"amount", "currency", "reference", "card", "metadata"?}."""
    _only(body, ("amount", "currency", "reference", "card", "metadata"), "")
    currency = body.get("currency")
    if not isinstance(currency, str) or not re.fullmatch(r"[A-Z]{3}", currency):
        raise _wrong("currency", "needs an ISO 4217 code in capitals, such as USD")
    card = _card(body.get("card"))
    reference = read_reference(body)
    metadata = _metadata(body.get("metadata", {}))
    if any(card.number in text for text in (reference, *metadata, *metadata.values())):
        raise _wrong("reference", "or metadata holds the card number, which must not be kept")
    return Wish(_whole("amount", body.get("amount"), 1, MOST), currency, reference, card, metadata)


def read_change(body: Mapping[str, object], *, with_amount: bool) -> tuple[int | None, str]:
    """Read {"amount"?, "reference"?}; a void takes no amount. No reference is ""."""
    _only(body, ("amount", "reference") if with_amount else ("reference",), "")
    amount = _whole("amount", body["amount"], 1, MOST) if "amount" in body else None
    return amount, read_reference(body) if "reference" in body else ""


def read_reference(body: Mapping[str, object]) -> str:
    """The client's own name for what it does: 1 to 64 printable ASCII characters without spaces."""
    reference = body.get("reference")
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise _wrong("reference", "needs 1 to 64 printable ASCII characters without spaces")
    return _kept("reference", reference)


def _card(card: object) -> CardGiven:
    if not isinstance(card, Mapping):
        raise _wrong("card", f"needs an object with {', '.join(_CARD)}")
    _only(card, _CARD, "card.")
    number, cvc = card.get("number"), card.get("cvc")
    if not isinstance(number, str) or not re.fullmatch(r"[0-9]{12,19}", number):
        raise _wrong("card.number", "needs 12 to 19 digits, as a text")
    if not isinstance(cvc, str) or not re.fullmatch(r"[0-9]{3,4}", cvc):
        raise _wrong("card.cvc", "needs 3 or 4 digits, as a text")
    month = _whole("card.exp_month", card.get("exp_month"), 1, 12)
    return CardGiven(number, month, _whole("card.exp_year", card.get("exp_year"), 2000, 2099))


def _metadata(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or len(value) > _METADATA_MOST:
        raise _wrong("metadata", f"needs an object of at most {_METADATA_MOST} texts")
    found = {}
    for key, text in value.items():
        if not isinstance(text, str) or len(key) > 40 or len(text) > 200:
            raise _wrong("metadata", "needs keys of at most 40 and texts of at most 200 characters")
        found[_kept("metadata", key)] = _kept("metadata", text)
    return found


def _kept(place: str, text: str) -> str:
    if holds_a_number(text):
        raise _wrong(place, "holds a card number, which must not be kept")
    return text


def _whole(place: str, value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise _wrong(place, f"needs a whole number from {low} to {high}")
    return value


def _only(body: Mapping[str, object], known: tuple[str, ...], prefix: str) -> None:
    for key in body:
        if key not in known:
            raise _wrong(prefix + "*", f"has a field that is not known here; known are {', '.join(known)}")


def _wrong(place: str, message: str) -> Refusal:
    return Refusal(400, "invalid_request", f"{place}: {message}", field=place)
