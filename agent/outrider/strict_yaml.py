"""Strict YAML: text -> plain values with their places -> a frozen, validated model; every error says file:line:column.

The rules, stricter than YAML's own:

1. One document per file, at most 1 MiB, 100,000 values and 40 levels; the bounds hold while reading.
2. No tags, anchors, aliases, merge keys or directives: what is meant is written out.
3. Keys are text, and none is written twice.
4. Plain scalars follow the part that YAML 1.2's core schema shares with JSON: `null`, `~` and nothing are None,
   `true` and `false` are booleans, decimal numbers are numbers. All else is text: NO, on, 12:30:45, 0x7f, 1_000,
   0o17, 0123, +1, .5, 2026-06-01, and whole numbers past 18 digits.
5. In text values `${env:NAME}` and `${file:PATH}` are replaced, once, and `$$` is `$`. What they bring in stays
   text and is never shown: an error names the reference in its place.
6. A model knows all its keys (msgspec, `forbid_unknown_fields=True`); another key is an error.

Marks are (line, column), both from 1. A path is a tuple of keys and indices; () is the whole document.
"""

from __future__ import annotations

import difflib
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Generic, Literal, Protocol, Self, TypeAlias, TypeVar, Union
from typing import get_args as type_arguments
from typing import get_origin as type_origin

import msgspec
import yaml

from outrider.core.units import parse_duration, parse_size

Mark: TypeAlias = tuple[int, int]
Place: TypeAlias = tuple[str | int, ...]
Model = TypeVar("Model")

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SHOWN_CHARACTERS = 60
_MASKED_ANYWHERE_FROM = 4
_MAX_REFERENCED_BYTES = 64 * 1024

_WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?")
_REFUSED_CHARACTER = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)
_LAST_NEWLINE = re.compile(r"\r?\n\Z")
_REFERENCE = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
_REFERENCE_NAME = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")

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
    the text of each value that was expanded as the file has it; `masks` pairs what came in with its reference.
    """

    file: str
    value: Any = field(repr=False)
    marks: Mapping[Place, Mark] = field(repr=False)
    key_marks: Mapping[Place, Mark] = field(repr=False)
    written: Mapping[Place, str] = field(default_factory=dict, repr=False)
    masks: tuple[tuple[str, str], ...] = field(default=(), repr=False)

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


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Model]):
    """A validated model, and the places of what it was made from."""

    value: Model = field(repr=False)
    located: Located


class Names(Protocol):
    """What `${...}` is looked up in: the key is "env:NAME" or "file:PATH". A plain dict will do.

    Raises KeyError where there is no such thing, OSError or ValueError where it cannot be read.
    """

    def __getitem__(self, reference: str, /) -> str: ...


@dataclass(frozen=True, slots=True)
class ProcessNames:
    """References as a process sees them: an environment, and files (relative ones from `base_dir`, up to 64 KiB)."""

    environ: Mapping[str, str] = field(repr=False)
    base_dir: Path

    def __getitem__(self, reference: str, /) -> str:
        kind, _, name = reference.partition(":")
        if kind == "env":
            return self.environ[name]
        with (self.base_dir / name).open("rb") as stream:
            content = stream.read(_MAX_REFERENCED_BYTES + 1)
        if len(content) > _MAX_REFERENCED_BYTES:
            raise ValueError("the file is larger than 64 KiB")
        try:
            return _LAST_NEWLINE.sub("", content.decode())
        except UnicodeDecodeError:
            raise ValueError("the file is not UTF-8 text") from None


class TextScalar(ABC):
    """A type of field written as text in a file. `schema` is its JSON Schema, whose description errors quote."""

    __slots__ = ()
    schema: ClassVar[Mapping[str, object]]

    @classmethod
    @abstractmethod
    def from_text(cls, text: str) -> Self:
        """Read the text. Raises ValueError with what would have been right."""


class DurationText(TextScalar, int):
    """Microseconds, written like 10s, 1.5s, 5m or 1h30m. Give defaults with `default(DurationText, "10s")`."""

    __slots__ = ()
    schema: ClassVar[Mapping[str, object]] = {
        "type": "string",
        "description": "a duration, like 10s, 1.5s, 5m or 1h30m",
        "pattern": r"^((\d{1,12}(\.\d{1,6})?(us|ms|s|m|h|d))+|\$\{.+\})$",
    }

    @classmethod
    def from_text(cls, text: str) -> Self:
        return cls(parse_duration(text))


class SizeText(TextScalar, int):
    """Bytes, written like 256MB or 1GiB. Give defaults with `default(SizeText, "1GiB")`."""

    __slots__ = ()
    schema: ClassVar[Mapping[str, object]] = {
        "type": "string",
        "description": "a size, like 256MB or 1GiB",
        "pattern": r"^(\d{1,12} ?(B|KB|MB|GB|KiB|MiB|GiB)|\$\{.+\})$",
    }

    @classmethod
    def from_text(cls, text: str) -> Self:
        return cls(parse_size(text))


def default(kind: type[TextScalar], text: str) -> Any:
    """The default of a field, as text: `interval: DurationText = default(DurationText, "10s")`.

    msgspec cannot put an int subclass into a JSON Schema, so that a plain `= DurationText(...)` would stop
    `json_schema`.
    """
    value = kind.from_text(text)
    return msgspec.field(default_factory=lambda: value)


def json_schema(model: type) -> dict[str, Any]:
    """The JSON Schema of a model's file, for editors."""
    return msgspec.json.schema(model, schema_hook=_schema_hook)


def load_file(
    path: Path, model: type[Model], *, names: Names | None = None, expand: bool = True, limits: Limits = DEFAULT
) -> Loaded[Model]:
    """`load` from a file in UTF-8. Raises ConfigError, also where the file cannot be read."""
    try:
        with path.open("rb") as stream:
            content = stream.read(limits.max_bytes + 1)
    except OSError as error:
        raise ConfigError(str(path), 1, 1, f"the file cannot be read: {error.strerror}") from None
    if len(content) > limits.max_bytes:
        raise _too_large(str(path), limits)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        line, column = _mark_of_offset(before, len(before))
        raise ConfigError(str(path), line, column, "the file is not UTF-8 text") from None
    return load(text, model, file=str(path), names=names, expand=expand, limits=limits)


def load(
    text: str,
    model: type[Model],
    *,
    file: str,
    names: Names | None = None,
    expand: bool = True,
    limits: Limits = DEFAULT,
) -> Loaded[Model]:
    """Read, expand (unless `expand` is False) and validate one document. Raises ConfigError and nothing else.

    `names` answers `${env:NAME}` and `${file:PATH}`; without it no name is known.
    """
    located = read_value(text, file=file, limits=limits)
    if expand:
        located = _expanded(located, {} if names is None else names)
    try:
        value = msgspec.convert(located.value, model, strict=True, dec_hook=_decode_scalar)
    except msgspec.ValidationError as error:
        raise _Explainer(located, model).explain(str(error)) from None
    return Loaded(value, located)


def read_value(text: str, *, file: str, limits: Limits = DEFAULT) -> Located:
    """Read one YAML document to plain values with their places. Raises ConfigError and nothing else."""
    text = text.removeprefix("\ufeff")
    if len(text) > limits.max_bytes or len(text.encode("utf-8", "surrogatepass")) > limits.max_bytes:
        raise _too_large(file, limits)
    if refused := _REFUSED_CHARACTER.search(text):
        message = f"character U+{ord(refused[0]):04X} is not allowed"
        raise ConfigError(file, *_mark_of_offset(text, refused.start()), message, "write it as an escape in quotes")
    if directive := _DIRECTIVE.search(text):
        message = "a line cannot start with '%'; YAML directives are not read"
        raise ConfigError(file, *_mark_of_offset(text, directive.start()), message)
    return _Composer(text, file, limits).document()


def _too_large(file: str, limits: Limits) -> ConfigError:
    return ConfigError(file, 1, 1, f"the file is larger than {limits.max_bytes} bytes")


def _mark_of_offset(text: str, offset: int) -> Mark:
    lines = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    return lines.count("\n") + 1, len(lines) - (lines.rfind("\n") + 1) + 1


def _mark_of(event: Any) -> Mark:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "...")


class _Composer:
    """Events -> values. It reads no further than the first event that breaks a rule."""

    def __init__(self, text: str, file: str, limits: Limits) -> None:
        self._text = text
        self._file = file
        self._limits = limits
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
        return Located(self._file, value, self._marks, self._key_marks)

    def _parse(self) -> Iterator[Any]:
        try:
            yield from yaml.parse(self._text, Loader=_LOADER)
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
                raise self._error(event, f"key {_quoted(key)} is written twice; the first one is on line {first}")
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
            written = f"put {_quoted(event.value)} in quotes" if event.value else "nothing stands before the ':'"
            raise self._error(event, f"a key is text; {written}")
        return key

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text: str = event.value
        if not text.isascii() and _SURROGATE.search(text):
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


def _expanded(located: Located, names: Names) -> Located:
    """The document with `${...}` replaced in its text values (rule 5)."""
    written: dict[Place, str] = {}
    masks: dict[tuple[str, str], None] = {}

    def expand(value: Any, path: Place) -> Any:
        if isinstance(value, dict):
            return {key: expand(entry, (*path, checked_key(key, path))) for key, entry in value.items()}
        if isinstance(value, list):
            return [expand(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str) or "$" not in value:
            return value
        written[path] = value
        expanded = _REFERENCE.sub(lambda found: resolve(found, path), value)
        if "${" in value:
            masks[expanded, value] = None
        return expanded

    def checked_key(key: str, path: Place) -> str:
        if "${" in key:
            raise located.error((*path, key), "${...} is replaced in values, not in keys", at_key=True)
        return key

    def resolve(found: re.Match[str], path: Place) -> str:
        if found[0] == "$$":
            return "$"
        if not found[2] or not _REFERENCE_NAME.fullmatch(found[1]):
            wrong = f"{_quoted(found[0])} is no reference" if found[2] else "a '${' is not closed"
            message = f"{wrong}; known are ${{env:NAME}} and ${{file:PATH}}"
            raise located.error(path, message, "write $$ for a plain $")
        value = _looked_up(found[1], names, lambda reason: located.error(path, f"{_quoted(found[0])}: {reason}"))
        masks[value, found[0]] = None
        return value

    value = expand(located.value, ())
    return replace(located, value=value, written=written, masks=tuple(masks))


def _looked_up(reference: str, names: Names, error: Callable[[str], ConfigError]) -> str:
    try:
        value = names[reference]
    except KeyError:
        known = "no such environment variable" if reference.startswith("env:") else "no such file"
        raise error(known) from None
    except OSError as reason:
        raise error(f"the file cannot be read: {reason.strerror}") from None
    except ValueError as reason:
        raise error(str(reason)) from None
    if _SURROGATE.search(value):
        raise error("it is not UTF-8 text")
    return value


def _decode_scalar(kind: type, value: object) -> object:
    if not issubclass(kind, TextScalar):
        raise TypeError(f"{kind.__name__} is not a type that a file can hold")
    if not isinstance(value, str):
        raise ValueError(f"expected {kind.schema['description']}")  # noqa: TRY004 (msgspec adds its path to this one)
    if len(value) > _SHOWN_CHARACTERS:
        raise ValueError(f"{len(value)} characters are too many for {kind.schema['description']}")
    return kind.from_text(value)


def _schema_hook(kind: type) -> dict[str, Any]:
    if not issubclass(kind, TextScalar):
        raise TypeError(f"{kind.__name__} is not a type that a file can hold")
    return dict(kind.schema)


_PLACED = re.compile(r"(.*?)(?: - at `(key` in `)?\$([^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_FIELD = re.compile(r"Object (contains unknown|missing required) field `(.*)`", re.DOTALL)
_EXPECTED = re.compile(r"Expected `([^`]*)`(.*?)(?:, got [^,]*)?", re.DOTALL)
_TYPE_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


class _Explainer:
    """msgspec's verdict -> a ConfigError with the place in the file, in plain words.

    msgspec names the place as `$.checks[0].headers[...]`, without the key where a dict is meant; so the model's
    types are walked beside the value, and in a dict the entry that does not fit is looked for.
    """

    def __init__(self, located: Located, model: Any) -> None:
        self._located = located
        self._model = model

    def explain(self, verdict: str) -> ConfigError:
        at_root = _FIELD.fullmatch(verdict)
        if at_root and isinstance(self._located.value, dict) and at_root[2] in self._located.value:
            return self._field_error(True, at_root[2], (), self._model)  # whatever else the key looks like
        found = _PLACED.fullmatch(verdict)
        message, in_key, steps = found.groups() if found else (verdict, None, None)
        path, kind = self._walk(steps or "")
        bad_key = self._misfit(path, kind, 0) if in_key else None
        is_key = bad_key is not None
        if bad_key is not None:
            path, kind = (*path, bad_key), _entry_kinds(kind)[0]
        if about_field := _FIELD.fullmatch(message):
            return self._field_error(about_field[1] == "contains unknown", about_field[2], path, kind)
        if message.startswith(("Invalid enum value", "Invalid value")):
            return self._choice_error(path, kind, at_key=is_key)
        words, hint = self._in_words(message, path, is_key=is_key)
        return self._located.error(path, f"{_label(path)}{words}", hint, at_key=is_key)

    def _walk(self, steps: str) -> tuple[Place, Any]:
        """The place that the steps lead to, and the type there. Stops early at steps that a strange key imitated."""
        path: Place = ()
        kind = self._model
        for name, index in _STEP.findall(steps):
            step: str | int | None
            if index == "...":
                step, child = self._misfit(path, kind, 1), _entry_kinds(kind)[1]
            elif index:
                step, child = int(index), _item_kind(kind, int(index))
            else:
                step, child = name, _field_kind(kind, self._located.at(path), name)
            if step is None or (*path, step) not in self._located.marks:
                break
            path, kind = (*path, step), child
        return path, kind

    def _misfit(self, path: Place, kind: Any, part: Literal[0, 1]) -> str | None:
        """The first key of a mapping that does not fit, or (part 1) the first whose value does not."""
        value = self._located.at(path)
        wanted = _entry_kinds(kind)[part]
        entries = value.items() if isinstance(value, dict) else ()
        return next((entry[0] for entry in entries if not _fits(entry[part], wanted)), None)

    def _field_error(self, unknown: bool, name: str, path: Place, kind: Any) -> ConfigError:
        if not unknown:
            where = _label(path).removesuffix(": ")
            return self._located.error(path, f"missing key {_quoted(name)}" + (f" in {where}" if where else ""))
        struct = _struct_of(kind, self._located.at(path))
        known = [one.encode_name for one in msgspec.structs.fields(struct)] if struct else []
        hint = _nearest(name, known) or (f"known keys: {', '.join(known)}" if known else "")
        return self._located.error((*path, name), f"unknown key {_quoted(name)}", hint, at_key=True)

    def _choice_error(self, path: Place, kind: Any, *, at_key: bool) -> ConfigError:
        choices = _choices(kind)
        shown = self._shown(path, is_key=at_key)
        message = f"{_label(path)}expected one of {', '.join(choices)}; got {shown}"
        value = path[-1] if at_key else self._located.at(path)
        hint = _nearest(value, choices) if isinstance(value, str) and path not in self._located.written else ""
        return self._located.error(path, message, hint, at_key=at_key)

    def _in_words(self, message: str, path: Place, *, is_key: bool) -> tuple[str, str]:
        shown = self._shown(path, is_key=is_key)
        if message.startswith("expected "):
            return f"{message}; got {shown}", ""
        expected = _EXPECTED.fullmatch(message)
        if expected is None:
            return message, ""
        names = expected[1].split(" | ")
        words = " or ".join(_TYPE_WORDS.get(name, name) for name in names)
        numeric = not is_key and isinstance(self._located.at(path), (bool, int, float))
        hint = "put it in quotes" if "str" in names and numeric else ""
        return f"expected {words}{expected[2]}, got {shown}", hint

    def _shown(self, path: Place, *, is_key: bool = False) -> str:
        value = path[-1] if is_key else self._located.written.get(path, self._located.at(path))
        match value:
            case None:
                return "nothing"
            case bool():
                return "true" if value else "false"
            case str():
                return f"text {_quoted(value)}"
            case list():
                return f"a list of {len(value)}"
            case dict():
                return "a mapping"
        return f"the number {value}"


def _label(path: Place) -> str:
    """How an error names a value: "timeout: ", "targets[2]: ", nothing for the document."""
    indices = ""
    for step in reversed(path):
        if isinstance(step, str):
            return f"{step if step.isprintable() and len(step) <= _SHOWN_CHARACTERS else _quoted(step)}{indices}: "
        indices = f"[{step}]{indices}"
    return f"{indices}: " if indices else ""


def _nearest(name: str, known: list[str]) -> str:
    found = difflib.get_close_matches(name[:_SHOWN_CHARACTERS], known, n=1)
    return f"did you mean {found[0]!r}?" if found else ""


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind, strict=True, dec_hook=_decode_scalar)
    except msgspec.ValidationError:
        return False
    return True


def _members(kind: Any) -> list[Any]:
    """The types that a field may have, without Annotated and Union around them."""
    if type_origin(kind) is Annotated:
        return _members(type_arguments(kind)[0])
    if type_origin(kind) in (Union, UnionType):
        return [member for part in type_arguments(kind) for member in _members(part)]
    return [kind]


def _structs(kind: Any) -> list[type[msgspec.Struct]]:
    return [member for member in _members(kind) if isinstance(member, type) and issubclass(member, msgspec.Struct)]


def _struct_of(kind: Any, value: object) -> type[msgspec.Struct] | None:
    """The struct that a mapping was held against: the only one, or the one that its tag names."""
    if not isinstance(value, dict):
        return None
    structs = _structs(kind)
    for struct in structs:
        config = struct.__struct_config__
        if len(structs) == 1 or value.get(config.tag_field) == config.tag:
            return struct
    return None


def _field_kind(kind: Any, value: object, name: str) -> Any:
    """The type of a struct's field by its name in the file; for a tag, the choice between the structs."""
    struct = _struct_of(kind, value)
    for one in msgspec.structs.fields(struct) if struct else ():
        if one.encode_name == name:
            return one.type
    return kind


def _entry_kinds(kind: Any) -> tuple[Any, Any]:
    """The types of a dict's keys and values."""
    for member in _members(kind):
        arguments = type_arguments(member)
        if len(arguments) == 2 and isinstance(origin := type_origin(member), type) and issubclass(origin, Mapping):
            return arguments[0], arguments[1]
    return Any, Any


def _item_kind(kind: Any, index: int) -> Any:
    """The type of a list's items, or of one place in a tuple."""
    for member in _members(kind):
        arguments = type_arguments(member)
        if len(arguments) == 1 or arguments[1:] == (...,):
            return arguments[0]
        if type_origin(member) is tuple and index < len(arguments):
            return arguments[index]
    return Any


def _choices(kind: Any) -> list[str]:
    """What may stand where an enumeration, a literal or a tag is asked for."""
    choices: list[Any] = []
    for member in _members(kind):
        if type_origin(member) is Literal:
            choices.extend(type_arguments(member))
        elif isinstance(member, type) and issubclass(member, Enum):
            choices.extend(one.value for one in member)
    return [str(choice) for choice in choices or [struct.__struct_config__.tag for struct in _structs(kind)]]
