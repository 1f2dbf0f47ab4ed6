"""Card numbers that no scenario may hold (rule 1)."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import unquote_plus

from outrider.codecs.published_cards import PUBLISHED
from outrider.hygiene.walking import Place, leaves
from outrider.redact import card_numbers

_ESCAPED = re.compile(r"\\u(?:\{0{0,4})?([0-9A-Fa-f]{2,4})\}?|\\x([0-9A-Fa-f]{2})")
_BETWEEN = re.compile(r"(?<=[0-9])[\s._\-\u2010-\u2015\u2212]+(?=[0-9])")
_AS_PRINTED = re.compile(
    r"(?<![0-9])(?:[0-9]{4}([^0-9A-Za-z]{1,12})[0-9]{4}\1[0-9]{4}\1[0-9]{4}"
    r"|[0-9]{4}([^0-9A-Za-z]{1,12})[0-9]{6}\2[0-9]{5})(?![0-9])"
)
"""The groups that are printed on cards, with any one thing between."""
_CAN_HIDE = re.compile(r"[%&\\]|[^\x00-\x7f]")
_DIGIT = re.compile(r"[0-9]")
_DIGITS = re.compile(r"[0-9]+")
_LAYERS = 2
"""How deep one escape may stand within another."""


def unlisted(value: object) -> Iterator[tuple[Place, str]]:
    """Every card number in a plain value that is not a published test number: where, and its ends."""
    for place, leaf, is_key in leaves(value):
        if isinstance(leaf, str | int | float) and not isinstance(leaf, bool):
            for number in _unlisted_in(str(leaf)):
                where = "in the key " if is_key else ""
                yield place, f"{where}{number[:6]}{'*' * (len(number) - 10)}{number[-4:]}"


def _unlisted_in(text: str) -> Iterator[str]:
    for reading in _readings(text):
        yield from (number for number in card_numbers(reading) if number not in PUBLISHED)


def _readings(text: str) -> set[str]:
    """The text in the ways that a service could read it, each with digits as ASCII and one dash between groups."""
    ways = {text}
    if _CAN_HIDE.search(text):
        for _ in range(_LAYERS):
            ways |= {unpacked(way) for way in ways for unpacked in _UNPACKED}
        ways |= {_in_plain_digits(way) for way in ways}
    elif len(_DIGIT.findall(text)) < 13:
        return set()
    ways |= {_AS_PRINTED.sub(lambda found: "-".join(_DIGITS.findall(found[0])), way) for way in ways}
    return {_BETWEEN.sub("-", way) for way in ways}


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), text)


_UNPACKED: tuple[Callable[[str], str], ...] = (unquote_plus, html.unescape, _unescaped)


def _in_plain_digits(text: str) -> str:
    """Compatibility forms and the digits of every script as ASCII; format characters (zero width) left out."""
    return "".join(
        str(unicodedata.digit(character)) if character.isdigit() else character
        for character in unicodedata.normalize("NFKC", text)
        if unicodedata.category(character) != "Cf"
    )
