"""Rule 5: the values of fields with telling names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from outrider.redact.spans import MASK, MASK_CHARACTER, Span, end_of_match

_NAMES = (
    r"(?:pass(?:word|wd|phrase|code)|pwd"
    r"|(?:cvv2?|cvc2?|cvn2?|cvd2?|cv2?(?=[_-]?n)|cv2)(?:[_-]?(?:code|num(?:ber)?|val(?:ue)?|data))?|csc"
    r"|(?:security|verification)[_-]?(?:code|num(?:ber)?|val(?:ue)?)|card[_-]?code"
    rf"|(?<![A-Za-z{MASK_CHARACTER}])pin(?:[_-]?(?:block|code|number))?|(?-i:(?<=[a-z])P(?:in|IN))(?![a-z])"
    r"|(?:account|acct)[_-]?(?:number|num|no)"
    r"|track[_-]?[123]?(?:[_-]?data)?|(?<![A-Za-z])(?<!\$\{)secret|(?:client|app|api|shared)[_-]?secret"
    r"|(?:api|secret|private)[_-]?key|(?:access|refresh|id|auth|api|session)[_-]?token)"
)
# The rest of a form's key: card[cvc], card[cvc][value], cvc[0].
_IN_BRACKETS = r"\]{0,4}(?:\[[A-Za-z0-9_]{0,40}\]){0,3}"
_HEADERS = r"(?:(?:proxy-)?authorization|(?:set-)?cookie)"
_NAMED = re.compile(
    rf"(?i:(?P<header>{_HEADERS})|{_NAMES}){_IN_BRACKETS}(?P<quote>\\{{0,7}}[\"']|)\]{{0,4}}\s{{0,32}}"
    r"(?:[:=]>?|(?(header),(?=\s{0,32}b?\\{0,7}[\"'])|(?!)))"  # a comma: ('Authorization', 'Basic ...')
    r"[ \t]{0,32}(?:\r?\n[ \t]{1,32})?(?:b(?=[\"']))?(?P<open>\\{0,7}[\"']|)"
)
_ELEMENT = re.compile(
    rf"<(?:[A-Za-z0-9_]{{1,40}}:)?[A-Za-z0-9_.-]{{0,40}}?(?i:{_NAMES})(?:\s[^<>]{{0,1000}})?>\s{{0,32}}(?P<cdata><!\[CDATA\[|)"
)
_PART = re.compile(rf"(?i:form-data\s{{0,8}};[^\r\n]{{0,200}}?\bname=\\{{0,7}}[\"']?{_NAMES}(?![A-Za-z0-9_-]))")
_PAIR = re.compile(
    rf"(?i:\b(?:name|key|field|id|code)\\{{0,7}}[\"']?\s{{0,32}}[:=]\s{{0,32}}\\{{0,7}}[\"']?{_NAMES}\\{{0,7}}[\"']?"
    r"[\s,;]{0,32}\\{0,7}[\"']?(?:value|val|text|content)\\{0,7}[\"']?\s{0,32}[:=]>?\s{0,32})(?P<open>\\{0,7}[\"']|)"
)
_NAMED_ELEMENT = re.compile(
    rf"<[A-Za-z0-9_:]{{1,80}}\s[^<>]{{0,200}}?\b(?i:name|key|id)\s?=\s?[\"'](?i:{_NAMES})[\"'][^<>]{{0,200}}>"
    r"\s{0,32}(?P<cdata><!\[CDATA\[|)"
)
_LOGIN = re.compile(r"://[^\s/?#@:\[]{0,200}:(?P<password>[^\s/?#@\]]{1,200})@")
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


def pair_spans(text: str) -> Iterator[Span]:
    """Rule 5 where a name and its value are fields of their own: {"name": "cvc", "value": "123"}."""
    return _values(text, _PAIR, _end_of_value)


def named_element_spans(text: str) -> Iterator[Span]:
    """Rule 5 in XML whose elements have their names as an attribute."""
    return _values(text, _NAMED_ELEMENT, _end_of_element)


def login_spans(text: str) -> Iterator[Span]:
    """Rule 5 in an address: the password before the host."""
    for found in _LOGIN.finditer(text):
        yield Span(*found.span("password"))


def part_spans(text: str) -> Iterator[Span]:
    """Rule 5 in MIME: the content of a part whose name tells, up to the next boundary."""
    position = 0
    while (name := _PART.search(text, position)) and (blank := _BLANK_LINE.search(text, name.end())):
        position = end_of_match(_BOUNDARY.search(text, blank.end()), len(text))
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


def _end_of_field(text: str, found: re.Match[str]) -> int:
    if found["header"] and not found["open"]:
        return _read(_BARE_HEADER, text, found.end())
    return _end_of_value(text, found)


def _end_of_value(text: str, found: re.Match[str]) -> int:
    opening = found["open"]
    if len(opening) > 1:  # a text within a text: its quotes are escaped
        closing = text.find(opening, found.end())
        return closing if closing >= 0 else len(text)
    return _read(_IN_QUOTES[opening] if opening else _BARE, text, found.end())


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
