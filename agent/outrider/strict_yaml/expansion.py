"""`${env:NAME}` and `${file:PATH}` in text values: rule 5, and what the references are looked up in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from outrider.strict_yaml.located import ConfigError, Located, Place, quoted
from outrider.strict_yaml.reading import SURROGATE

_MAX_REFERENCED_BYTES = 64 * 1024

_LAST_NEWLINE = re.compile(r"\r?\n\Z")
_REFERENCE = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
_REFERENCE_NAME = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")


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


def expand_references(located: Located, names: Names) -> Located:
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
            wrong = f"{quoted(found[0])} is no reference" if found[2] else "a '${' is not closed"
            message = f"{wrong}; known are ${{env:NAME}} and ${{file:PATH}}"
            raise located.error(path, message, "write $$ for a plain $")
        value = _looked_up(found[1], names, lambda reason: located.error(path, f"{quoted(found[0])}: {reason}"))
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
    if SURROGATE.search(value):
        raise error("it is not UTF-8 text")
    return value
