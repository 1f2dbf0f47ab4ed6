"""A model's types, walked one step at a time: which type stands behind a key, an entry or an index.

A kind is what an annotation of a model says: a class, a Union, an Annotated, a generic alias. Any is "not known".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union
from typing import get_args as type_arguments
from typing import get_origin as type_origin

import msgspec


def struct_of(kind: Any, value: object) -> type[msgspec.Struct] | None:
    """The struct that a mapping was held against: the only one, or the one that its tag names."""
    if not isinstance(value, dict):
        return None
    structs = _structs(kind)
    for struct in structs:
        config = struct.__struct_config__
        if len(structs) == 1 or value.get(config.tag_field) == config.tag:
            return struct
    return None


def field_kind(kind: Any, value: object, name: str) -> Any:
    """The type of a struct's field by its name in the file; for a tag, the choice between the structs."""
    struct = struct_of(kind, value)
    for one in msgspec.structs.fields(struct) if struct else ():
        if one.encode_name == name:
            return one.type
    return kind


def entry_kinds(kind: Any) -> tuple[Any, Any]:
    """The types of a dict's keys and values."""
    for member in _members(kind):
        arguments = type_arguments(member)
        if len(arguments) == 2 and isinstance(origin := type_origin(member), type) and issubclass(origin, Mapping):
            return arguments[0], arguments[1]
    return Any, Any


def item_kind(kind: Any, index: int) -> Any:
    """The type of a list's items, or of one place in a tuple."""
    for member in _members(kind):
        arguments = type_arguments(member)
        if len(arguments) == 1 or arguments[1:] == (...,):
            return arguments[0]
        if type_origin(member) is tuple and index < len(arguments):
            return arguments[index]
    return Any


def choices_of(kind: Any) -> list[str]:
    """What may stand where an enumeration, a literal or a tag is asked for."""
    choices: list[Any] = []
    for member in _members(kind):
        if type_origin(member) is Literal:
            choices.extend(type_arguments(member))
        elif isinstance(member, type) and issubclass(member, Enum):
            choices.extend(one.value for one in member)
    return [str(choice) for choice in choices or [struct.__struct_config__.tag for struct in _structs(kind)]]


def _members(kind: Any) -> list[Any]:
    """The types that a field may have, without Annotated and Union around them."""
    if type_origin(kind) is Annotated:
        return _members(type_arguments(kind)[0])
    if type_origin(kind) in (Union, UnionType):
        return [member for part in type_arguments(kind) for member in _members(part)]
    return [kind]


def _structs(kind: Any) -> list[type[msgspec.Struct]]:
    return [member for member in _members(kind) if isinstance(member, type) and issubclass(member, msgspec.Struct)]
