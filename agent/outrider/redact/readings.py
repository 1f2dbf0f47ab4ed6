"""A text as whoever unpacks it would read it, so that neither escaping nor typography hides a thing from the rules.

Escapes of ASCII characters as in a URL or a form (`%5B`, `+`), in JSON (`\\u0022`, `\\x22`) and in XML (`&quot;`,
`&#34;`) are taken back, one level of them. Digits of every script become ASCII; blanks and dashes of every kind, dots
and underscores become a blank or a dash; characters without width are left out. Every character remembers where it
came from.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from outrider.redact.spans import Span

_ESCAPE = re.compile(
    r"%([0-7][0-9A-Fa-f])|\\(?:u00|x)([0-7][0-9A-Fa-f])|&#[xX]0{0,6}([0-7]?[0-9A-Fa-f]);|&#0{0,6}([0-9]{1,3});"
    r"|&(quot|apos|amp|lt|gt);|([^\x00-\x7f])"
)
_NAMED = {"quot": '"', "apos": "'", "amp": "&", "lt": "<", "gt": ">"}
_ALIKE = str.maketrans({"+": " ", "\t": " ", ".": "-", "_": "-"})


@dataclass(frozen=True, slots=True)
class Reading:
    """A text, and for each of its characters (and its end) the place in the text that it was read from."""

    text: str
    places: Sequence[int]

    def taken_back(self, spans: Iterable[Span], source: str) -> Iterator[Span]:
        """The same places in the source; what stays readable stays as it is written there."""
        for span in spans:
            start, end = self.places[span.start], self.places[span.end]
            shown = span.shown
            if len(shown) == span.end - span.start:
                shown = "".join(
                    source[self.places[place] : self.places[place + 1]] if character == self.text[place] else character
                    for place, character in enumerate(shown, span.start)
                )
            yield Span(start, end, shown)


def each_reading(text: str) -> Iterator[Reading]:
    """The text as it stands, and unpacked where that is another one."""
    yield Reading(text, range(len(text) + 1))
    unpacked = _unpacked(text)
    if unpacked.text != text:
        yield unpacked


def _unpacked(text: str) -> Reading:
    parts: list[str] = []
    places: list[int] = []
    position = 0
    for found in _ESCAPE.finditer(text):
        parts += (text[position : found.start()].translate(_ALIKE), character := _character(found))
        places += range(position, found.start())
        places += [found.start()] * len(character)
        position = found.end()
    parts.append(text[position:].translate(_ALIKE))
    places += range(position, len(text) + 1)
    return Reading("".join(parts), places)


def _character(found: re.Match[str]) -> str:
    """What an escape, or a character that is not ASCII, is read as; nothing where it has no width."""
    for number, base in ((1, 16), (2, 16), (3, 16), (4, 10)):
        if found[number]:
            code = int(found[number], base)
            return chr(code).translate(_ALIKE) if code < 128 else found[0]
    return _NAMED[found[5]] if found[5] else _plain(found[6])


def _plain(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.decimal(character))
    return {"Zs": " ", "Pd": "-", "Cf": ""}.get(kind, character)
