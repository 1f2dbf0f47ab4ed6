"""Redaction: what must never be stored, logged or shown is masked, in text whose form is not known beforehand.

The rules. Each finds its spans in the text as it came, so that none hides a thing from another; where spans of
different rules overlap, all of it is masked.

1. A known secret, as it is, and as it looks in a URL, in JSON, in XML and in base64, also where its UTF-8 was read as
   Latin-1 or the other way round. Secrets of fewer than four
   characters (a CVV, a PIN) only as whole tokens.
2. A card number: 13 to 19 digits that pass the Luhn check, in one run or in groups with a blank (in a form: a plus) or
   a dash between.
   First six and last four stay (PCI DSS 4.0.1, 3.4.1). Numbers that start with 0, or with 1 and are not 15
   digits long, are nobody's card (ISO/IEC 7812; times in microseconds look like that). In runs past 19 digits,
   a number after its own length (ISO 8583, field 2) counts. After a number, track data goes with it.
3. A social security number, ddd-dd-dddd.
4. X12 segments about a person: NM1 of a subscriber, dependent or patient from NM103 on, DMG, N3, N4, CLM01, and REF
   of a social security number (SY), a patient's account (EJ) or the payer's number for a claim (1K).
   Separators are those of the ISA before it; without one `*`, `|` and `^` between elements and `~`, GS or the end
   of the line after them.
5. The value of a field with a telling name (password, cvv, pin, track, account_number, authorization, ...) as a header,
   in JSON, in a form (card[cvc]=..., urlencoded or not), in XML and in MIME parts.
6. In FHIR JSON, names (family, given), birth dates and subscriber ids, and identifiers whose type says that they are a
   person's (MB, MR, SS, ...).

The work is linear in the text: patterns that search have bounded repeats only, what follows a name is read once,
and no place is read again after it has been masked. A mask can give what stands next to it a new meaning, so that
the rules are applied until the text stays as it is, four times at most; card numbers then lose all their digits.
"""

from __future__ import annotations

import base64
import contextlib
import html
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias
from urllib.parse import quote, quote_plus

# Not ASCII on purpose: no letter, digit or separator of anything that is redacted, and in no secret.
MASK = "\u2588\u2588\u2588"

_MASK_CHARACTER = MASK[0]
_ANYWHERE_FROM = 4
_BASE64_FROM = 6
_CUT_FROM = 200
_ROUNDS = 4
_ROUNDS_WITH_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text, [start, end), and what is to stand there instead."""

    start: int
    end: int
    shown: str = MASK


Rule: TypeAlias = Callable[[str], Iterator[Span]]
_Sums: TypeAlias = tuple[bytearray, bytearray]


class Redactor:
    """Masks known secrets and whatever the rules above name. Holds the secrets; has no other state."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._shapes = _all_shapes(secrets)
        self._secrets = _secret_patterns(self._shapes)

    def text(self, text: str) -> str:
        """The text with everything masked that the rules name. Redacting it again changes nothing."""
        for round_number in range(_ROUNDS):
            redacted = self._once(text, with_digits=round_number < _ROUNDS_WITH_DIGITS)
            if redacted == text:
                break
            text = redacted
        return text

    def detail(self, text: str) -> str:
        """The same for a text that was cut where it ends, if it is long: the beginning of a secret or of a card number
        there is masked too."""
        return self.text(text[: self._end_of_whole(text)] if len(text) >= _CUT_FROM else text)

    def _end_of_whole(self, text: str) -> int:
        """Where the text ends without a last part that is the beginning of a secret, or digits."""
        end = len(text.rstrip("0123456789- "))
        for shape in self._shapes:
            start = max(len(text) - len(shape) + 1, 0)
            while (start := text.find(shape[:_ANYWHERE_FROM], start)) >= 0:
                if shape.startswith(text[start:]):
                    end = min(end, start)
                    break
                start += 1
        return end

    def bytes(self, content: bytes) -> bytes:
        """The same for UTF-8; bytes that are not UTF-8 stay as they are."""
        return self.text(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def _once(self, text: str, *, with_digits: bool) -> str:
        spans = [*secret_spans(text, self._secrets), *card_spans(text, with_digits=with_digits)]
        for rule in RULES:
            spans.extend(rule(text))
        return _replaced(text, spans)


def _replaced(text: str, spans: list[Span]) -> str:
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


# --- known secrets


def _all_shapes(secrets: Iterable[str]) -> list[str]:
    shapes = {
        shape
        for secret in secrets
        for part in secret.split(_MASK_CHARACTER)
        for reading in _misread(part)
        for shape in _shapes(reading)
    }
    return sorted(shapes, key=len, reverse=True)


def _misread(secret: str) -> set[str]:
    """A secret, its UTF-8 read as Latin-1, as servers read headers, and its Latin-1 read as UTF-8, as we do."""
    readings = {secret, secret.encode("utf-8", "surrogatepass").decode("latin-1")}
    with contextlib.suppress(UnicodeEncodeError):
        readings.add(secret.encode("latin-1").decode("utf-8", "surrogateescape"))
        readings.add(secret.encode("latin-1").decode("utf-8", "replace"))
    return readings


def _secret_patterns(shapes: Iterable[str]) -> list[re.Pattern[str]]:
    """At most two patterns for all shapes of all secrets: what is masked anywhere, and what only as a whole token."""
    anywhere, tokens = [], []
    for shape in shapes:
        if len(shape) >= _ANYWHERE_FROM:
            anywhere.append(re.escape(shape))
        else:
            before = rf"(?<![^\W_])(?<!{_MASK_CHARACTER})" if shape[0].isalnum() else ""
            after = rf"(?![^\W_]|{_MASK_CHARACTER})" if shape[-1].isalnum() else ""
            tokens.append(before + re.escape(shape) + after)
    return [re.compile("|".join(alternatives)) for alternatives in (anywhere, tokens) if alternatives]


def _shapes(secret: str) -> set[str]:
    """How a secret can look in what we send and receive. Blanks around it are not part of it."""
    secret = secret.strip()
    if len(secret) < _ANYWHERE_FROM:
        return {secret} - {""}
    encoded = secret.encode("utf-8", "surrogatepass")
    shapes = {secret, quote(encoded, safe=""), quote_plus(encoded), repr(secret)[1:-1]}
    shapes |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    shapes |= {html.escape(secret), html.escape(secret, quote=False)}
    for offset, first in enumerate((0, 2, 3)):  # characters that the bytes before it have a part in
        within = base64.b64encode(bytes(offset) + encoded).decode()[first : (offset + len(encoded)) * 8 // 6]
        if len(within) >= _BASE64_FROM:
            shapes |= {within, within.replace("+", "-").replace("/", "_")}
    return shapes


def secret_spans(text: str, patterns: Iterable[re.Pattern[str]]) -> Iterator[Span]:
    """Rule 1. Secrets that overlap are all found: the search goes on one character further."""
    for pattern in patterns:
        position = 0
        while found := pattern.search(text, position):
            yield Span(*found.span())
            position = found.start() + 1


# --- card numbers

_DIGIT_GROUPS = re.compile(r"[0-9]++(?:[ +-][0-9]++)*+")
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


# --- social security numbers

_SSN = re.compile(r"(?<![0-9])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9])")


def ssn_spans(text: str) -> Iterator[Span]:
    """Rule 3."""
    for found in _SSN.finditer(text):
        yield Span(*found.span())


# --- X12

_ISA = re.compile(r"(?<![A-Za-z0-9])ISA(?=([\x01-\x1f!-/:-@\[-`{-~]))[\s\S]{102}([\x01-\x1f!-/:-@\[-`{-~])")
_ISA_SEPARATORS = (6, 17, 20, 31, 103)  # some of the places that hold one
_USUAL_SEPARATORS = "*|^"
_USUAL_ENDS = "~\x1d\r\n"
_PERSONS = frozenset(("IL", "03", "QC", "74"))  # subscriber, dependent, patient, corrected subscriber
_PERSONAL_REFERENCES = frozenset(("SY", "EJ", "1K"))  # social security, patient account and payer claim number
_FIRST_PRIVATE = {"NM1": 3, "REF": 2}  # element; from the first one in the other segments
_LAST_PRIVATE = {"CLM": 1}  # element; to the end in the other segments


def x12_spans(text: str) -> Iterator[Span]:
    """Rule 4. What an ISA says holds up to the next one."""
    headers = [found for found in _ISA.finditer(text) if _is_isa(found)]
    starts = [0, *(found.start() for found in headers), len(text)]
    for (start, end), header in zip(pairwise(starts), (None, *headers), strict=True):
        yield from _person_spans(text, start, end, header[1] if header else "", header[2] if header else "")


def _is_isa(found: re.Match[str]) -> bool:
    return found[1] != found[2] and all(found[0][place] == found[1] for place in _ISA_SEPARATORS)


def _person_spans(text: str, start: int, end: int, separator: str, terminator: str) -> Iterator[Span]:
    separators = re.escape(_USUAL_SEPARATORS + separator)
    segment = re.compile(
        rf"(?<![A-Za-z0-9{separators}{_MASK_CHARACTER}])(NM1|DMG|N3|N4|REF|CLM)([{separators}])([^{separators}]{{0,8}})"
    )
    position = start
    while found := segment.search(text, position, end):
        position = found.end(2)
        if _is_about_a_person(found[1], found[3].strip()):
            ends = terminator if found[2] == separator else _USUAL_ENDS
            position = _end_of_match(re.compile(f"[{re.escape(ends)}]").search(text, position, end), end)
            yield from _private_elements(text[found.end(2) : position], found)


def _is_about_a_person(segment: str, qualifier: str) -> bool:
    match segment:
        case "NM1":
            return qualifier in _PERSONS
        case "REF":
            return qualifier in _PERSONAL_REFERENCES
    return True


def _private_elements(elements: str, segment: re.Match[str]) -> Iterator[Span]:
    place = segment.end(2)
    for number, element in enumerate(elements.split(segment[2]), 1):
        if number > _LAST_PRIVATE.get(segment[1], number):
            break
        if number >= _FIRST_PRIVATE.get(segment[1], 1) and element.strip():
            yield Span(place, place + len(element))
        place += len(element) + 1


# --- fields with telling names

_NAMES = (
    r"(?:pass(?:word|wd|phrase|code)|pwd|cvv2?|cvc2?|cvn2?|csc|security[_-]?code|card[_-]?code"
    rf"|(?<![A-Za-z{_MASK_CHARACTER}])pin(?:[_-]?(?:block|code|number))?|(?-i:(?<=[a-z])P(?:in|IN))(?![a-z])"
    r"|(?:account|acct)[_-]?(?:number|num|no)"
    r"|track[_-]?[123]?(?:[_-]?data)?|client[_-]?secret|api[_-]?key|(?:access|refresh|id)[_-]?token)"
)
_HEADERS = r"(?:(?:proxy-)?authorization|(?:set-)?cookie)"
# The rest of a form's key: card[cvc], card[cvc][value], cvc[0].
_IN_BRACKETS = r"(?:\]|%5[Dd])?(?:(?:\[|%5[Bb])[A-Za-z0-9_]{0,40}(?:\]|%5[Dd])){0,3}"
_NAMED = re.compile(
    rf"(?i:(?P<header>{_HEADERS})|{_NAMES}){_IN_BRACKETS}(?P<quote>\\{{0,7}}[\"']|)\s{{0,32}}"
    r"(?:[:=]|(?(header),(?=\s{0,32}b?\\{0,7}[\"'])|(?!)))"  # a comma: ('Authorization', 'Basic ...')
    r"[ \t]{0,32}(?:\r?\n[ \t]{1,32})?(?:b(?=[\"']))?(?P<open>\\{0,7}[\"']|)"
)
_ELEMENT = re.compile(
    rf"<(?:[A-Za-z0-9_]{{1,40}}:)?(?i:{_NAMES})(?:\s[^<>]{{0,1000}})?>\s{{0,32}}(?P<cdata><!\[CDATA\[|)"
)
_PART = re.compile(rf"(?i:form-data\s{{0,8}};[^\r\n]{{0,200}}?\bname=\\{{0,7}}[\"']?{_NAMES}(?![A-Za-z0-9_-]))")
_NEWLINE = r"(?:\r?\n|\\r\\n|\\n)"
_BLANK_LINE = re.compile(_NEWLINE * 2)
_BOUNDARY = re.compile(rf"{_NEWLINE}--")
_IN_QUOTES = {
    "'": re.compile(r"[^'\\]*+(?:\\[\s\S][^'\\]*+)*+"),
    '"': re.compile(r'[^"\\]*+(?:\\[\s\S][^"\\]*+)*+'),
}
_BARE_HEADER = re.compile(r"""(?![{\[])[^\r\n"'<>]*+(?:(?<==)"[^"\r\n]*+"[^\r\n"'<>]*+)*+""")
_BARE = re.compile(r"\[[^\]]*+\]?|(?!\{)[^\s&,;<>\"}\])]*+")
_NOT_MARKUP = re.compile(r"[^<]*+")


def field_spans(text: str) -> Iterator[Span]:
    """Rule 5: headers, JSON, forms, and whatever else writes a name, a colon or an equals sign, and a value."""
    return _values(text, _NAMED, _end_of_field)


def element_spans(text: str) -> Iterator[Span]:
    """Rule 5 in XML: the text of the element, as CDATA or not."""
    return _values(text, _ELEMENT, _end_of_element)


def part_spans(text: str) -> Iterator[Span]:
    """Rule 5 in MIME: the content of a part whose name tells, up to the next boundary."""
    position = 0
    while (name := _PART.search(text, position)) and (blank := _BLANK_LINE.search(text, name.end())):
        position = _end_of_match(_BOUNDARY.search(text, blank.end()), len(text))
        if position > blank.end():
            yield Span(blank.end(), position)


def _values(text: str, names: re.Pattern[str], end_of: Callable[[str, re.Match[str]], int]) -> Iterator[Span]:
    """The values after names. The search goes on where a value ends, so that nothing is read twice."""
    position = 0
    while found := names.search(text, position):
        position = end_of(text, found)
        if position > found.end():
            bare_in_json = "quote" in names.groupindex and found["quote"] == '"' and not found["open"]
            yield Span(found.end(), position, f'"{MASK}"' if bare_in_json else MASK)


def _end_of_match(found: re.Match[str] | None, otherwise: int) -> int:
    return found.start() if found else otherwise


def _end_of_field(text: str, found: re.Match[str]) -> int:
    opening = found["open"]
    if len(opening) > 1:  # a text within a text: its quotes are escaped
        closing = text.find(opening, found.end())
        return closing if closing >= 0 else len(text)
    pattern = _IN_QUOTES[opening] if opening else _BARE_HEADER if found["header"] else _BARE
    return _read(pattern, text, found.end())


def _end_of_element(text: str, found: re.Match[str]) -> int:
    if found["cdata"]:
        closing = text.find("]]>", found.end())
        return closing if closing >= 0 else len(text)
    return _read(_NOT_MARKUP, text, found.end())


def _read(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


_FHIR_PERSON = re.compile(
    r"(?P<header>(?!))?(?P<quote>\\{0,7}\")(?:family|given|birthDate|subscriberId)\\{0,7}\"\s{0,32}:\s{0,32}"
    r"(?P<open>\\{0,7}\"|)"
)
# R4 lists an identifier's type before its value, and that is the order in which servers write them.
_FHIR_IDENTIFIER = re.compile(
    r"(?P<header>(?!))?\"code\"\s{0,8}:\s{0,8}\"(?:MB|MR|SS|SB|SN|MC|MA|PI|PT)\"[^{}]{0,200}\}[^{}]{0,200}\}[^{}]{0,500}?"
    r"(?P<quote>\")value\"\s{0,8}:\s{0,8}(?P<open>\"|)"
)


def fhir_spans(text: str) -> Iterator[Span]:
    """Rule 6."""
    yield from _values(text, _FHIR_PERSON, _end_of_field)
    yield from _values(text, _FHIR_IDENTIFIER, _end_of_field)


RULES: tuple[Rule, ...] = (ssn_spans, x12_spans, field_spans, element_spans, part_spans, fhir_spans)


# --- what is shown to people


def printable(text: str, limit: int = 200) -> str:
    """One line that is safe on a terminal and in a log: control, format (bidi, zero width) and other invisible
    characters as escapes, at most `limit` characters, the last of them "…" where something was left out."""
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text[: limit + 1]
    )
    return shown if len(shown) <= limit and len(text) <= limit else shown[: max(limit - 1, 0)] + "…"
