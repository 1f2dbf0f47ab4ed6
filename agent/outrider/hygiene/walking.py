"""A plain value (mappings, lists, scalars), walked with places; a request's body and query are walked into."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit
from xml.etree.ElementTree import Element

from outrider.codecs import strict_xml

Place: TypeAlias = tuple[str | int, ...]

_BRACKETS = re.compile(r"[\[\].]+")
_NOT_A_LETTER = re.compile(r"[^a-z]")
_TAG = re.compile(r"<(?:[\w.-]{1,80}:)?([\w.-]{1,80})((?:\s[^<>]{0,2000})?)>([^<]{0,1000})")
_ATTRIBUTE = re.compile(r"([\w.-]{1,80})\s{0,8}=\s{0,8}[\"']([^\"'<>]{0,1000})[\"']")


def leaves(value: object, place: Place = ()) -> Iterator[tuple[Place, object, bool]]:
    """Every key and every scalar: (place, it, whether it is a key)."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield (*place, key), key, True
            yield from leaves(each, (*place, key))
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from leaves(each, (*place, number))
    else:
        yield place, value, False


def fields(request: Mapping[str, Any]) -> Iterator[tuple[Place, object]]:
    """Every scalar of a request, those within a body that is JSON, XML or a form, and within a path's query, too."""
    for place, leaf, is_key in leaves(request):
        if is_key:
            continue
        yield place, leaf
        if place == ("body",) and isinstance(leaf, str):
            yield from (((*place, *inner), each) for inner, each in _in_text(leaf))
        if place == ("path",) and isinstance(leaf, str):
            yield from (((*place, key), each) for key, each in parse_qsl(urlsplit(leaf).query))


def names(place: Place) -> list[str]:
    """The names along a place, in lower-case letters alone; a form's key in brackets, card[number], is two."""
    parts = (part for key in place if isinstance(key, str) for part in _BRACKETS.split(key.lower()))
    return [name for part in parts if (name := _NOT_A_LETTER.sub("", part))]


def _in_text(body: str) -> Iterator[tuple[Place, object]]:
    if body.lstrip().startswith("<"):
        yield from _in_xml(body)
        return
    try:
        read = json.loads(body, object_pairs_hook=_with_duplicates)
    except (ValueError, RecursionError):
        yield from (((key,), each) for key, each in parse_qsl(body))
    else:
        yield from ((place, leaf) for place, leaf, is_key in leaves(read) if not is_key)


def _with_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A key that stands twice holds all its values: who knows which of them a service reads."""
    values: dict[str, list[object]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return {key: found if len(found) > 1 else found[0] for key, found in values.items()}


def _in_xml(body: str) -> Iterator[tuple[Place, object]]:
    """Texts and attributes by the local names around them; of what is not XML within bounds, whatever looks like it."""
    try:
        yield from _in_element(strict_xml.parse(body.encode("utf-8", "replace")), ())
    except strict_xml.XmlError:
        for name, attributes, text in _TAG.findall(body):
            yield from (((name, key), each) for key, each in _ATTRIBUTE.findall(attributes))
            yield (name,), html.unescape(text).strip()


def _in_element(element: Element, outer: Place) -> Iterator[tuple[Place, object]]:
    place = (*outer, element.tag.rpartition("}")[2])
    yield from (((*place, key.rpartition("}")[2]), each) for key, each in element.attrib.items())
    texts = [element.text or "", *(each.tail or "" for each in element)]
    yield from ((place, text.strip()) for text in texts if text.strip())
    for each in element:
        yield from _in_element(each, place)
