"""Rule 2: card numbers and the track data behind them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import TypeAlias

from outrider.redact.spans import Span

_Sums: TypeAlias = tuple[bytearray, bytearray]

_DIGIT_GROUPS = re.compile(r"[0-9]++(?:[ -]{1,4}[0-9]++)*+")
_OWN_LENGTH = re.compile(r"(?=(1[3-9])[2-6])")
_TRACK_REST = re.compile(r"(?:[=D][0-9]{4}|\^[^^\r\n]{2,26}\^[0-9]{4})[0-9A-Za-z=]{0,60}+")
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def card_numbers(text: str) -> list[str]:
    """The card numbers in a text (rule 2), digits only, in order, each as often as it stands there."""
    return ["".join(filter(str.isdigit, text[start:end])) for start, end in _cards(text)]


def card_spans(text: str, *, with_digits: bool = True) -> Iterator[Span]:
    """Rule 2. `with_digits` keeps the first six and the last four."""
    for start, end in _cards(text):
        yield Span(start, end, _starred(text[start:end], with_digits=with_digits))
        if track := _TRACK_REST.match(text, end):
            yield Span(*track.span())


def _starred(number: str, *, with_digits: bool) -> str:
    places = [index for index, character in enumerate(number) if character.isdigit()]
    hidden = set(places[6:-4] if with_digits else places)
    return "".join("*" if index in hidden else character for index, character in enumerate(number))


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for run in _DIGIT_GROUPS.finditer(text):
        if run.end() - run.start() >= 13:
            yield from _cards_in(run[0], run.start())


def _cards_in(run: str, offset: int) -> Iterator[tuple[int, int]]:
    """Numbers made of whole groups of one run, the leftmost and longest first; `offset` is the run's own place."""
    digits = bytes(int(character) for character in run if character.isdigit())
    sums = _luhn_sums(digits)
    edges = [(found.start(), found.end()) for found in re.finditer(r"[0-9]++", run)]
    counts = [0]  # digits before each group
    for start, end in edges:
        counts.append(counts[-1] + end - start)
    group = 0
    while group < len(edges):
        after = bisect_right(counts, counts[group] + 19) - 1
        while after > group and not _is_card(digits, sums, counts[group], counts[after]):
            after -= 1
        if after > group:
            yield offset + edges[group][0], offset + edges[after - 1][1]
        elif counts[group + 1] - counts[group] > 19:
            shift = offset + edges[group][0] - counts[group]
            for start, end in _after_own_length(digits, sums, counts[group], counts[group + 1]):
                yield start + shift, end + shift
        group = max(after, group + 1)


def _after_own_length(digits: bytes, sums: _Sums, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Card numbers inside a longer run of digits, each after two digits that say how long it is."""
    run = "".join(map(str, digits[start:end]))
    free_from = 0
    for found in _OWN_LENGTH.finditer(run):
        first = found.start() + 2
        last = first + int(found[1])
        if first >= free_from and start + last <= end and _is_card(digits, sums, start + first, start + last):
            yield start + first, start + last
            free_from = last


def _luhn_sums(digits: bytes) -> _Sums:
    """Running Luhn sums, modulo 10, so that any stretch is checked in one step: with even places doubled, and odd."""
    sums = (bytearray(1), bytearray(1))
    for place, digit in enumerate(digits):
        for parity in (0, 1):
            sums[parity].append((sums[parity][-1] + (_DOUBLED[digit] if place % 2 == parity else digit)) % 10)
    return sums


def _is_card(digits: bytes, sums: _Sums, start: int, end: int) -> bool:
    length = end - start
    if not 13 <= length <= 19 or digits[start] == 0 or (digits[start] == 1 and length != 15):
        return False
    running = sums[end % 2]  # the check digit, at end - 1, is not doubled
    return running[end] == running[start]
