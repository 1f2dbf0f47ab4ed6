"""Places in a text that are to be masked, and the text with them masked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

# Not ASCII on purpose: no letter, digit or separator of anything that is redacted, and in no secret.
MASK = "\u2588\u2588\u2588"
MASK_CHARACTER = MASK[0]


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text, [start, end), and what is to stand there instead."""

    start: int
    end: int
    shown: str = MASK


Rule: TypeAlias = Callable[[str], Iterator[Span]]


def replaced(text: str, spans: list[Span]) -> str:
    parts: list[str] = []
    position = 0
    for span in _merged(spans):
        parts += (text[position : span.start], span.shown)
        position = span.end
    return "".join((*parts, text[position:]))


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if merged and span.start < merged[-1].end:
            if span != merged[-1]:
                merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def end_of_match(found: re.Match[str] | None, otherwise: int) -> int:
    return found.start() if found else otherwise
