"""A document's plain value with the place of each part of it, and the error that names such a place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Mark: TypeAlias = tuple[int, int]
Place: TypeAlias = tuple[str | int, ...]

SHOWN_CHARACTERS = 60
_MASKED_ANYWHERE_FROM = 4


class ConfigError(Exception):
    """A mistake in a file that somebody wrote. Line and column are counted from 1; `hint` may be empty."""

    def __init__(self, file: str, line: int, column: int, message: str, hint: str = "") -> None:
        super().__init__(file, line, column, message, hint)
        self.file = file
        self.line = line
        self.column = column
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{hint}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one document. `max_bytes` counts UTF-8, `max_nodes` keys and values, `max_depth` nested levels."""

    max_bytes: int = 1024 * 1024
    max_nodes: int = 100_000
    max_depth: int = 40


DEFAULT = Limits()


@dataclass(frozen=True, slots=True)
class Located:
    """A document's plain value (dict, list, str, int, float, bool, None) and where each part of it stands.

    `marks` has the place of every value, `key_marks` of every key (by the path of its value). `written` keeps
    the text of each value that was expanded as the file has it; `masks` pairs what came in with its reference; `text`
    is the whole document, comments and all.
    """

    file: str
    value: Any = field(repr=False)
    marks: Mapping[Place, Mark] = field(repr=False)
    key_marks: Mapping[Place, Mark] = field(repr=False)
    written: Mapping[Place, str] = field(default_factory=dict, repr=False)
    masks: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    text: str = field(default="", repr=False)

    def mark(self, path: Place, *, at_key: bool = False) -> Mark:
        """Where the value at `path` stands, or the nearest thing around it that the file has."""
        if at_key and path in self.key_marks:
            return self.key_marks[path]
        while path not in self.marks:
            path = path[:-1]
        return self.marks[path]

    def error(self, path: Place, message: str, hint: str = "", *, at_key: bool = False) -> ConfigError:
        """An error at a value, or at its key; to be raised. Expanded values in the message give way to their names."""
        line, column = self.mark(path, at_key=at_key)
        return ConfigError(self.file, line, column, _masked(message, self.masks), _masked(hint, self.masks))

    def at(self, path: Place) -> Any:
        """The plain value at `path`; KeyError or IndexError where there is none."""
        value = self.value
        for step in path:
            value = value[step]
        return value


def _masked(message: str, masks: tuple[tuple[str, str], ...]) -> str:
    """The message with every value that was brought in replaced by its reference; short values as whole words."""
    names: dict[str, str] = {}
    for value, reference in masks:
        for shape in (value, repr(value)[1:-1], value.strip()):
            names.setdefault(shape, reference)
    patterns = []
    for shape in sorted(filter(None, names), key=len, reverse=True):
        literal = re.escape(shape)
        patterns.append(literal if len(shape) >= _MASKED_ANYWHERE_FROM else rf"(?<!\w){literal}(?!\w)")
    return re.sub("|".join(patterns), lambda found: names[found[0]], message) if patterns else message


def quoted(text: str) -> str:
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "...")
