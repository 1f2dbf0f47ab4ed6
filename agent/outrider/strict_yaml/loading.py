"""Text or a file -> a validated model: reading, expansion and validation in their order (rule 6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from outrider.strict_yaml.expansion import Names, expand_references
from outrider.strict_yaml.explaining import Explainer
from outrider.strict_yaml.located import DEFAULT, ConfigError, Limits, Located
from outrider.strict_yaml.reading import LOADER, Loader, mark_of_offset, read_value, too_large
from outrider.strict_yaml.scalars import decode_scalar

Model = TypeVar("Model")


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Model]):
    """A validated model, and the places of what it was made from."""

    value: Model = field(repr=False)
    located: Located


def load_file(
    path: Path,
    model: type[Model],
    *,
    names: Names | None = None,
    expand: bool = True,
    limits: Limits = DEFAULT,
    inspect: Callable[[Located], None] | None = None,
) -> Loaded[Model]:
    """`load` from a file in UTF-8. Raises ConfigError, also where the file cannot be read."""
    try:
        with path.open("rb") as stream:
            content = stream.read(limits.max_bytes + 1)
    except OSError as error:
        raise ConfigError(str(path), 1, 1, f"the file cannot be read: {error.strerror}") from None
    if len(content) > limits.max_bytes:
        raise too_large(str(path), limits)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        line, column = mark_of_offset(before, len(before))
        raise ConfigError(str(path), line, column, "the file is not UTF-8 text") from None
    return load(text, model, file=str(path), names=names, expand=expand, limits=limits, inspect=inspect)


def load(
    text: str,
    model: type[Model],
    *,
    file: str,
    names: Names | None = None,
    expand: bool = True,
    limits: Limits = DEFAULT,
    loader: Loader = LOADER,
    inspect: Callable[[Located], None] | None = None,
) -> Loaded[Model]:
    """Read, expand (unless `expand` is False) and validate one document. Raises ConfigError and nothing else.

    `names` answers `${env:NAME}` and `${file:PATH}`; without it no name is known. `loader` is as in `read_value`.
    `inspect` sees the document as it was read, before any other error could quote from it, and may raise ConfigError.
    """
    located = read_value(text, file=file, limits=limits, loader=loader)
    if inspect is not None:
        inspect(located)
    if expand:
        located = expand_references(located, {} if names is None else names)
    try:
        value = msgspec.convert(located.value, model, strict=True, dec_hook=decode_scalar)
    except msgspec.ValidationError as error:
        raise Explainer(located, model).explain(str(error)) from None
    return Loaded(value, located)
