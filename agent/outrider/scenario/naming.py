"""Names in a scenario's texts: which there are, what refers to them, and how they are filled in.

`${name}` stands for a name's value, `$$` for a dollar sign; there is no other template language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from outrider.strict_yaml import nearest

Scalar = str | int | float | bool | None
Path = tuple[str | int, ...]
Problem = tuple[Path, str]

OPAQUE = "\ufffd"
"""Stands for a value that is not the scenario's own."""

GENERATORS = ("uuid", "control_number", "trace", "stan", "now", "today", "agent_number")
_NEVER_TWICE = frozenset(("uuid", "control_number", "trace", "stan", "now"))
_REFERENCE = re.compile(r"\$(?:\$|\{([^{}$]*)\}|)")
_TODAY = re.compile(r"today(?:[+-]\d{1,4}d)?")
_NOW = re.compile(r"now:(?:YYYY|YY|MM|DD|hh|mm|ss|[-./: T])+")
_SECRET = re.compile(r"secret:[A-Za-z_][A-Za-z0-9_]*")


def is_generator(name: str) -> bool:
    """Whether `${name}` is drawn by the agent, not named by the scenario."""
    return name in GENERATORS or bool(_TODAY.fullmatch(name) or _NOW.fullmatch(name) or _SECRET.fullmatch(name))


def references(value: Any) -> Iterator[str]:
    """Every name that a value refers to, in order; the empty name for a lone `$`."""
    if isinstance(value, str):
        yield from (found[1] or "" for found in _REFERENCE.finditer(value) if found[0] != "$$")
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from references(each)


def render(value: Any, resolve: Callable[[str], str]) -> Any:
    """A copy of the value with every `${name}` replaced by its text, and `$$` by `$`."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: "$" if found[0] == "$$" else resolve(found[1] or ""), value)
    if isinstance(value, Mapping):
        return {key: render(each, resolve) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [render(each, resolve) for each in value]
    return value


def plain_names(names: Mapping[str, str]) -> dict[str, str]:
    """A scenario's `names` as far as its file says them: what is drawn at run time is OPAQUE."""
    plain: dict[str, str] = {}
    for name, text in names.items():
        plain[name] = render(text, lambda found: plain.get(found, OPAQUE))
    return plain


def unknown_names(value: Any, path: Path, known: set[str]) -> Iterator[Problem]:
    """Every reference to a name that is neither known nor a generator's."""
    for place, name in _located_references(value, path):
        if name not in known and not is_generator(name):
            known_here = [*GENERATORS, "now:MMDDhhmmss", "today-30d", "secret:NAME", *sorted(known)]
            hint = f" ({like})" if (like := nearest(name, known_here)) else ""
            shown = ", ".join(known_here)
            yield place, f"'${{{name}}}' is not a name{hint}; known here are {shown} (write $$ for a dollar sign)"


def drawn_anew(value: Any, path: Path) -> Iterator[Problem]:
    """Every generator in what an answer is held against that draws another value there than in the request."""
    for place, name in _located_references(value, path):
        if name in _NEVER_TWICE or _NOW.fullmatch(name):
            yield (
                place,
                (
                    f"'${{{name}}}' is drawn anew at each place, so no answer can hold it; "
                    f"put it under 'names', and use that name here and in the request"
                ),
            )


def _located_references(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _located_references(each, (*path, key))
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _located_references(each, (*path, number))
    else:
        yield from ((path, name) for name in references(value))


def as_text(value: Scalar) -> str:
    """How a scalar of YAML or JSON compares with a fact: true, false and null as they are written."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
