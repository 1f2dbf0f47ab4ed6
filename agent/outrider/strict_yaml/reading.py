"""YAML text -> plain values with their places: rules 1 to 4. Reads no further than what breaks a rule."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import yaml

from outrider.strict_yaml.located import DEFAULT, ConfigError, Limits, Located, Mark, Place, quoted

Loader: TypeAlias = "type[yaml.SafeLoader | yaml.CSafeLoader]"

# Every installation has the parser in Python; most have the one in C, too, which is faster.
LOADER: Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SURROGATE = re.compile("[\ud800-\udfff]")

_WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?")
_REFUSED_CHARACTER = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)

# What PyYAML says (its first words, in either of its parsers), what that means, and what usually helps.
_USUAL_MISTAKES = (
    ("mapping values are not allowed", "a ': ' that does not belong here", "check the indentation, or quote the value"),
    ("found character that cannot start", "this character cannot start a value", "put the value in quotes"),
    ("found character '", "this character cannot start a value", "put the value in quotes"),
    ("did not find expected ',' or ']'", "a list in [ ] is not closed", "a comma or a ] is missing"),
    ("expected ',' or ']'", "a list in [ ] is not closed", "a comma or a ] is missing"),
    ("did not find expected ',' or '}'", "a mapping in { } is not closed", "a comma or a } is missing"),
    ("expected ',' or '}'", "a mapping in { } is not closed", "a comma or a } is missing"),
    ("did not find expected key", "this does not fit the lines above", "check the indentation"),
    ("did not find expected '-'", "this does not fit the lines above", "check the indentation"),
    ("expected <block end>", "this does not fit the lines above", "check the indentation"),
    ("found unexpected end of stream", "a text in quotes is not closed", ""),
    ("found unknown escape character", "an unknown escape in double quotes", "write it in single quotes"),
)


def read_value(text: str, *, file: str, limits: Limits = DEFAULT, loader: Loader = LOADER) -> Located:
    """Read one YAML document to plain values with their places. Raises ConfigError and nothing else.

    `loader` says which of PyYAML's parsers reads it; what it makes of tags and scalars is not used.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > limits.max_bytes or len(text.encode("utf-8", "surrogatepass")) > limits.max_bytes:
        raise too_large(file, limits)
    if refused := _REFUSED_CHARACTER.search(text):
        message = f"character U+{ord(refused[0]):04X} is not allowed"
        raise ConfigError(file, *mark_of_offset(text, refused.start()), message, "write it as an escape in quotes")
    if directive := _DIRECTIVE.search(text):
        message = "a line cannot start with '%'; YAML directives are not read"
        raise ConfigError(file, *mark_of_offset(text, directive.start()), message)
    return _Composer(text, file, limits, loader).document()


def too_large(file: str, limits: Limits) -> ConfigError:
    return ConfigError(file, 1, 1, f"the file is larger than {limits.max_bytes} bytes")


def mark_of_offset(text: str, offset: int) -> Mark:
    lines = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    return lines.count("\n") + 1, len(lines) - (lines.rfind("\n") + 1) + 1


def _mark_of(event: Any) -> Mark:
    return event.start_mark.line + 1, event.start_mark.column + 1


class _Composer:
    """Events -> values. It reads no further than the first event that breaks a rule."""

    def __init__(self, text: str, file: str, limits: Limits, loader: Loader) -> None:
        self._text = text
        self._file = file
        self._limits = limits
        self._loader = loader
        self._events = self._parse()
        self._nodes = 0
        self._marks: dict[Place, Mark] = {}
        self._key_marks: dict[Place, Mark] = {}

    def document(self) -> Located:
        next(self._events)
        start = next(self._events)
        root = next(self._events) if isinstance(start, yaml.DocumentStartEvent) else start
        if isinstance(root, yaml.StreamEndEvent) or _is_nothing(root):
            raise ConfigError(self._file, 1, 1, "the file is empty")
        value = self._node(root, ())
        next(self._events)
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._error(after, "a second document starts here; a file holds one")
        return Located(self._file, value, self._marks, self._key_marks, text=self._text)

    def _parse(self) -> Iterator[Any]:
        try:
            yield from yaml.parse(self._text, Loader=self._loader)
        except yaml.MarkedYAMLError as error:
            raise self._syntax_error(error) from None
        except (yaml.YAMLError, ValueError, OverflowError):
            last = max(self._marks.values(), default=(1, 1))
            raise ConfigError(self._file, *last, "not valid YAML after this value") from None

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> ConfigError:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = error.problem or "it cannot be read"
        hint = ""
        for start, message, usual_hint in _USUAL_MISTAKES:
            if problem.startswith(start):
                problem, hint = message, usual_hint
        if mark and self._text[mark.index : mark.index + 1] == "\t":
            hint = "indent with spaces, not tabs"
        return ConfigError(self._file, line, column, f"not valid YAML: {problem}", hint)

    def _error(self, event: Any, message: str) -> ConfigError:
        return ConfigError(self._file, *_mark_of(event), message)

    def _admit(self, event: Any, depth: int) -> None:
        self._nodes += 1
        if self._nodes > self._limits.max_nodes:
            raise self._error(event, f"more than {self._limits.max_nodes} values in one file")
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self._error(event, "anchors and aliases (& and *) are not read; write the value out")
        if event.tag is not None:
            raise self._error(event, "tags (! and !!) are not read; remove the tag")
        if depth > self._limits.max_depth and not isinstance(event, yaml.ScalarEvent):
            raise self._error(event, f"nested deeper than {self._limits.max_depth} levels")

    def _node(self, event: Any, path: Place) -> Any:
        self._admit(event, len(path) + 1)
        self._marks[path] = _mark_of(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _sequence(self, path: Place) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return items

    def _mapping(self, path: Place) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, len(path) + 1)
            place = (*path, key)
            if key in entries:
                first = self._key_marks[place][0]
                raise self._error(event, f"key {quoted(key)} is written twice; the first one is on line {first}")
            self._key_marks[place] = _mark_of(event)
            entries[key] = self._node(next(self._events), place)
        return entries

    def _key(self, event: Any, depth: int) -> str:
        self._admit(event, depth)
        if not isinstance(event, yaml.ScalarEvent):
            raise self._error(event, "a key is text, not a list or a mapping")
        if event.value == "<<" and not event.style:
            raise self._error(event, "merge keys (<<) are not read; write the keys out")
        key = self._scalar(event)
        if not isinstance(key, str):
            written = f"put {quoted(event.value)} in quotes" if event.value else "nothing stands before the ':'"
            raise self._error(event, f"a key is text; {written}")
        return key

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text: str = event.value
        if not text.isascii() and SURROGATE.search(text):
            raise self._error(event, "half of a surrogate pair is no character; write it as one \\U escape")
        return text if event.style else _plain(text)


def _is_nothing(event: Any) -> bool:
    """Whether a node is there without a character having been written for it ("---" alone)."""
    return isinstance(event, yaml.ScalarEvent) and event.value == "" and not (event.style or event.tag or event.anchor)


def _plain(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar (rule 4)."""
    match text:
        case "" | "~" | "null":
            return None
        case "true" | "false":
            return text == "true"
    if _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text
