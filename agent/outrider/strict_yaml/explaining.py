"""What msgspec found wrong -> the place in the file, in plain words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Any, Literal

import msgspec

from outrider.strict_yaml.field_types import choices_of, entry_kinds, field_kind, item_kind, struct_of
from outrider.strict_yaml.located import SHOWN_CHARACTERS, ConfigError, Located, Place, quoted
from outrider.strict_yaml.scalars import decode_scalar

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


class Explainer:
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
            path, kind = (*path, bad_key), entry_kinds(kind)[0]
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
                step, child = self._misfit(path, kind, 1), entry_kinds(kind)[1]
            elif index:
                step, child = int(index), item_kind(kind, int(index))
            else:
                step, child = name, field_kind(kind, self._located.at(path), name)
            if step is None or (*path, step) not in self._located.marks:
                break
            path, kind = (*path, step), child
        return path, kind

    def _misfit(self, path: Place, kind: Any, part: Literal[0, 1]) -> str | None:
        """The first key of a mapping that does not fit, or (part 1) the first whose value does not."""
        value = self._located.at(path)
        wanted = entry_kinds(kind)[part]
        entries = value.items() if isinstance(value, dict) else ()
        return next((entry[0] for entry in entries if not _fits(entry[part], wanted)), None)

    def _field_error(self, unknown: bool, name: str, path: Place, kind: Any) -> ConfigError:
        if not unknown:
            where = _label(path).removesuffix(": ")
            return self._located.error(path, f"missing key {quoted(name)}" + (f" in {where}" if where else ""))
        struct = struct_of(kind, self._located.at(path))
        known = [one.encode_name for one in msgspec.structs.fields(struct)] if struct else []
        hint = nearest(name, known) or (f"known keys: {', '.join(known)}" if known else "")
        return self._located.error((*path, name), f"unknown key {quoted(name)}", hint, at_key=True)

    def _choice_error(self, path: Place, kind: Any, *, at_key: bool) -> ConfigError:
        choices = choices_of(kind)
        shown = self._shown(path, is_key=at_key)
        message = f"{_label(path)}expected one of {', '.join(choices)}; got {shown}"
        value = path[-1] if at_key else self._located.at(path)
        hint = nearest(value, choices) if isinstance(value, str) and path not in self._located.written else ""
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
                return f"text {quoted(value)}"
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
            return f"{step if step.isprintable() and len(step) <= SHOWN_CHARACTERS else quoted(step)}{indices}: "
        indices = f"[{step}]{indices}"
    return f"{indices}: " if indices else ""


def nearest(name: str, known: Collection[str]) -> str:
    """ "did you mean 'x'?" with the known name that is like this one; "" where none is."""
    found = difflib.get_close_matches(name[:SHOWN_CHARACTERS], list(known), n=1)
    return f"did you mean {found[0]!r}?" if found else ""


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind, strict=True, dec_hook=decode_scalar)
    except msgspec.ValidationError:
        return False
    return True
