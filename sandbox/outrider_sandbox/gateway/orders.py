"""What clients ask the gateway for in cards, read strictly (`fields`). Raises Refusal (400)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from outrider_sandbox.gateway.fields import (
    MOST,
    keep_out,
    only,
    read_amount,
    read_metadata,
    read_reference,
    text,
    whole,
    wrong,
)

_WISH = ("amount", "currency", "reference", "card", "token", "avs", "metadata")
_CARD = ("number", "exp_month", "exp_year", "cvc")
_ADDRESS = ("line", "postal_code")


@dataclass(frozen=True, slots=True)
class CardGiven:
    """A card as the client gave it, `cvc` empty where it gave none. It lives only as long as the request, and its repr
    hides it."""

    number: str = field(repr=False)
    exp_month: int
    exp_year: int
    cvc: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Address:
    """What address verification compares, each empty where it was not given; it is not kept either."""

    line: str = field(default="", repr=False)
    postal_code: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Wish:
    """A wish for an authorization or a sale, with a card or the token of one; `amount` in minor units."""

    amount: int
    currency: str
    reference: str
    source: CardGiven | str
    address: Address
    metadata: Mapping[str, str]


def read_wish(body: Mapping[str, object]) -> Wish:
    """Read {"amount", "currency", "reference", "card" or "token", "avs"?, "metadata"?}."""
    only(body, _WISH)
    currency = text("currency", body.get("currency"), r"[A-Z]{3}", "an ISO 4217 code in capitals, such as USD")
    if "card" in body and "token" in body:
        raise wrong("card", "and token name two cards; send one of them")
    source = _token(body["token"]) if "token" in body else read_card(body)
    reference, metadata = read_reference(body), read_metadata(body)
    if isinstance(source, CardGiven):
        keep_out(source.number, (reference, *metadata, *metadata.values()))
    return Wish(read_amount(body), currency, reference, source, _address(body.get("avs", {})), metadata)


def read_token_wish(body: Mapping[str, object]) -> CardGiven:
    """Read {"card"}, of which a token is wanted."""
    only(body, ("card",))
    return read_card(body)


def read_change(body: Mapping[str, object], *, with_amount: bool) -> tuple[int | None, str]:
    """Read {"amount"?, "reference"?}; a void takes no amount. No reference is ""."""
    only(body, ("amount", "reference") if with_amount else ("reference",))
    amount = whole("amount", body["amount"], 1, MOST) if "amount" in body else None
    return amount, read_reference(body) if "reference" in body else ""


def read_card(body: Mapping[str, object]) -> CardGiven:
    """Read {"number", "exp_month", "exp_year", "cvc"?} under "card"."""
    card = body.get("card")
    if not isinstance(card, Mapping):
        raise wrong("card", f"needs an object with {', '.join(_CARD)}")
    only(card, _CARD, "card.")
    number = text("card.number", card.get("number"), r"[0-9]{12,19}", "12 to 19 digits")
    cvc = text("card.cvc", card["cvc"], r"[0-9]{3,4}", "3 or 4 digits") if "cvc" in card else ""
    month = whole("card.exp_month", card.get("exp_month"), 1, 12)
    return CardGiven(number, month, whole("card.exp_year", card.get("exp_year"), 2000, 2099), cvc)


def _token(value: object) -> str:
    return text("token", value, r"[!-~]{1,64}", "the id of a token")


def _address(value: object) -> Address:
    if not isinstance(value, Mapping):
        raise wrong("avs", f"needs an object with {' or '.join(_ADDRESS)}")
    only(value, _ADDRESS, "avs.")
    needs = {"line": r"(?s).{1,100}", "postal_code": r"[A-Za-z0-9][A-Za-z0-9 -]{2,9}"}
    said = {"line": "1 to 100 characters", "postal_code": "3 to 10 letters, digits, blanks and dashes"}
    return Address(**{key: text(f"avs.{key}", value[key], needs[key], said[key]) for key in value})
