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

from outrider.strict_yaml.expansion import Names, ProcessNames
from outrider.strict_yaml.explaining import nearest
from outrider.strict_yaml.loading import Loaded, Model, load, load_file
from outrider.strict_yaml.located import DEFAULT, ConfigError, Limits, Located, Mark, Place
from outrider.strict_yaml.reading import read_value
from outrider.strict_yaml.scalars import DurationText, SizeText, TextScalar, default, json_schema

__all__ = [
    "DEFAULT",
    "ConfigError",
    "DurationText",
    "Limits",
    "Loaded",
    "Located",
    "Mark",
    "Model",
    "Names",
    "Place",
    "ProcessNames",
    "SizeText",
    "TextScalar",
    "default",
    "json_schema",
    "load",
    "load_file",
    "nearest",
    "read_value",
]
