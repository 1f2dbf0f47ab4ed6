"""Types of fields that are written as text, and how msgspec is told of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import msgspec

from outrider.core.units import parse_duration, parse_size
from outrider.strict_yaml.located import SHOWN_CHARACTERS


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


def decode_scalar(kind: type, value: object) -> object:
    if not issubclass(kind, TextScalar):
        raise TypeError(f"{kind.__name__} is not a type that a file can hold")
    if not isinstance(value, str):
        raise ValueError(f"expected {kind.schema['description']}")  # noqa: TRY004 (msgspec adds its path to this one)
    if len(value) > SHOWN_CHARACTERS:
        raise ValueError(f"{len(value)} characters are too many for {kind.schema['description']}")
    return kind.from_text(value)


def _schema_hook(kind: type) -> dict[str, Any]:
    if not issubclass(kind, TextScalar):
        raise TypeError(f"{kind.__name__} is not a type that a file can hold")
    return dict(kind.schema)
