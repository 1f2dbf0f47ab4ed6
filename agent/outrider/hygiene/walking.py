"""A plain value (mappings, lists, scalars), walked with places; a request's body and query are walked into."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

Place: TypeAlias = tuple[str | int, ...]

_BRACKETS = re.compile(r"[\[\].]+")
_NOT_A_LETTER = re.compile(r"[^a-z]")


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
    """Every scalar of a request, those within a body that is JSON or a form, and within a path's query, too."""
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
