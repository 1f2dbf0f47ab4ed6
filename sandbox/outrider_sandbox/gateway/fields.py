"""Fields that clients send to the gateway, read strictly: each known, in range, and named when it is wrong.

Everything raises Refusal (400, code "invalid_request", with the field's name). No message repeats a value, which could
be a card number, an account number or a security code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from outrider_sandbox.answers import Refusal
from outrider_sandbox.cards import holds_a_number

MOST = 99_999_999
_REFERENCE = re.compile(r"[!-~]{1,64}")
_METADATA_MOST = 20


def read_amount(body: Mapping[str, object]) -> int:
    """The amount, in minor units."""
    return whole("amount", body.get("amount"), 1, MOST)


def read_reference(body: Mapping[str, object]) -> str:
    """The client's own name for what it does: 1 to 64 printable ASCII characters without spaces."""
    reference = body.get("reference")
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise wrong("reference", "needs 1 to 64 printable ASCII characters without spaces")
    return _kept("reference", reference)


def read_metadata(body: Mapping[str, object]) -> Mapping[str, str]:
    """The client's own notes: texts by name."""
    value = body.get("metadata", {})
    if not isinstance(value, Mapping) or len(value) > _METADATA_MOST:
        raise wrong("metadata", f"needs an object of at most {_METADATA_MOST} texts")
    found = {}
    for key, text in value.items():
        if not isinstance(text, str) or len(key) > 40 or len(text) > 200:
            raise wrong("metadata", "needs keys of at most 40 and texts of at most 200 characters")
        found[_kept("metadata", key)] = _kept("metadata", text)
    return found


def keep_out(number: str, texts: Iterable[str]) -> None:
    """Refuse texts that would be kept and hold the number that was sent with them."""
    if any(number in text for text in texts):
        raise wrong("reference", "or metadata holds the card or account number, which must not be kept")


def whole(place: str, value: object, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise wrong(place, f"needs a whole number from {low} to {high}")
    return value


def text(place: str, value: object, pattern: str, needs: str) -> str:
    """A text that is the pattern."""
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise wrong(place, f"needs {needs}, as a text")
    return value


def only(body: Mapping[str, object], known: tuple[str, ...], prefix: str = "") -> None:
    """Refuse fields that are not known."""
    for key in body:
        if key not in known:
            raise wrong(prefix + "*", f"has a field that is not known here; known are {', '.join(known)}")


def wrong(place: str, message: str) -> Refusal:
    """The refusal of one field."""
    return Refusal(400, "invalid_request", f"{place}: {message}", field=place)


def _kept(place: str, value: str) -> str:
    if holds_a_number(value):
        raise wrong(place, "holds a card number, which must not be kept")
    return value
