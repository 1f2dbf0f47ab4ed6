"""ISO 8583 messages: bytes to fields and back, over the library `pyiso8583` (the extra `iso8583`).

Rules
-----
1. Read strictly. A type that is none, a bitmap that cannot be, a field that is not of its form, and bytes left over
   are errors, each with the field and the offset in the message.
2. No error repeats what a field holds.
3. The library is imported when the first message is read or written: an agent that speaks no ISO 8583 needs none. Its
   pretty-printer is never called, since it prints whole card numbers.
4. Types and bitmaps are read here first: the library forgives blanks among hex digits and signs among lengths, and
   fails without a type of its own on a third bitmap.

Source: ISO 8583:1987 (MTI 0xxx) and ISO 8583:1993 (MTI 1xxx), ASCII, with the bitmap in hex or in binary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

from outrider.codecs.extras import require
from outrider.codecs.iso8583_fields import FORMS, VERSIONS, Form

LONGEST = 9_999
"""The longest message, in bytes: what four digits can say."""

BITMAPS = ("hex", "binary")
_MTI = re.compile(r"[01][1-8][0-4][0-5]")
_HEX = re.compile(rb"[0-9A-Fa-f]{16}")


class Iso8583Error(ValueError):
    """A message that is none. `field` is "mti", "bitmap" or a field's number; `offset` counts bytes of the message
    (None where it is being written)."""

    def __init__(self, field: int | str, problem: str, offset: int | None = None) -> None:
        named = f"field {field}" if isinstance(field, int) else f"the {field}"
        where = "" if offset is None else f" at byte {offset}"
        super().__init__(f"{named}{where}: {problem}")
        self.field = field
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Layout:
    """How messages are written: the version of the standard (1987 or 1993), and the bitmap in hex or in binary; in
    binary, fields of bytes are raw bytes too."""

    version: int = 1987
    bitmap: str = "hex"

    def __post_init__(self) -> None:
        if self.version not in VERSIONS:
            raise ValueError(f"version {self.version} of ISO 8583 is not one of 1987, 1993")
        if self.bitmap not in BITMAPS:
            raise ValueError(f"a bitmap is written {' or '.join(BITMAPS)}, not {self.bitmap!r}")


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its type (four digits) and its fields by number, as text; bytes as hex. The fields are left out of the
    repr: they hold a card number."""

    mti: str
    fields: Mapping[int, str] = field(default_factory=dict, repr=False)


def _library() -> ModuleType:
    require("iso8583", "a message of ISO 8583")
    import iso8583

    return iso8583


def encode(message: Message, layout: Layout) -> bytes:
    """The message's bytes. Raises Iso8583Error, MissingExtraError."""
    library = _library()
    _check_mti(message.mti, layout)
    for number, text in message.fields.items():
        form = FORMS[layout.version].get(number)
        if form is None:
            raise Iso8583Error(number, f"no field of ISO 8583:{layout.version}")
        if problem := form.problem(text):
            raise Iso8583Error(number, problem)
    if not message.fields:
        raise Iso8583Error("bitmap", "a message has at least one field")
    plain = {"t": message.mti, **{str(number): text for number, text in message.fields.items()}}
    try:
        raw, _ = library.encode(plain, _spec(layout))
    except library.EncodeError as error:
        raise _translated(error.field, error.msg, None) from None
    if len(raw) > LONGEST:
        raise Iso8583Error("bitmap", f"the message is longer than {LONGEST} bytes")
    return bytes(raw)


def decode(raw: bytes, layout: Layout) -> Message:
    """Read a whole message. Raises Iso8583Error, MissingExtraError."""
    library = _library()
    if len(raw) > LONGEST:
        raise Iso8583Error("mti", f"the message is longer than {LONGEST} bytes", 0)
    _check_mti(raw[:4].decode("ascii", "replace"), layout, 0)
    _check_bitmaps(raw, layout)
    try:
        decoded, encoded = library.decode(raw, _spec(layout))
    except library.DecodeError as error:
        raise _translated(error.field, error.msg, error.pos) from None
    return Message(decoded["t"], dict(_checked_fields(decoded, encoded, layout)))


def response_type(mti: str) -> str:
    """The type of the answer to a request or an advice; a repeat is answered like the first. Raises Iso8583Error for
    what is not answered."""
    if not _MTI.fullmatch(mti) or mti[2] not in "02":
        raise Iso8583Error("mti", "not the type of a request or an advice (third digit 0 or 2)")
    return f"{mti[:2]}{int(mti[2]) + 1}{int(mti[3]) & ~1}"


def _check_mti(mti: str, layout: Layout, offset: int | None = None) -> None:
    if not _MTI.fullmatch(mti):
        raise Iso8583Error("mti", "not a message type: version 0 or 1, class 1 to 8, function 0 to 4, origin", offset)
    if VERSIONS[int(mti[0])] != layout.version:
        raise Iso8583Error("mti", f"a type of ISO 8583:{VERSIONS[int(mti[0])]}, not of {layout.version}", offset)


def _check_bitmaps(raw: bytes, layout: Layout) -> None:
    """Rule 4."""
    offset, first, present = 4, 1, 0
    size = 16 if layout.bitmap == "hex" else 8
    while first in (1, 65):
        written = raw[offset : offset + size]
        if len(written) < size:
            raise Iso8583Error("bitmap", f"{len(written)} bytes, not {size}", offset)
        if layout.bitmap == "hex" and not _HEX.fullmatch(written):
            raise Iso8583Error("bitmap", "not 16 hex digits", offset)
        bits = int(written, 16) if layout.bitmap == "hex" else int.from_bytes(written, "big")
        has_second = first == 1 and bool(bits >> 63)
        if first == 65 and bits >> 63:
            raise Iso8583Error("bitmap", "says that field 65, a third bitmap, follows", offset)
        present |= bits if first == 65 else bits & ~(1 << 63)
        offset, first = offset + size, 65 if has_second else 129
    if not present:
        raise Iso8583Error("bitmap", "a message has at least one field", 4)


def _checked_fields(
    decoded: Mapping[str, str], encoded: Mapping[str, Mapping[str, bytes]], layout: Layout
) -> dict[int, str]:
    fields, offset = {}, 0
    for name, parts in encoded.items():
        if name.isdecimal() and name != "1":
            number, form = int(name), FORMS[layout.version][int(name)]
            if not all(0x30 <= byte <= 0x39 for byte in parts["len"]):
                raise Iso8583Error(number, "its length is not written in digits", offset)
            if problem := form.problem(decoded[name]):
                raise Iso8583Error(number, problem, offset + len(parts["len"]))
            fields[number] = decoded[name]
        offset += len(parts["len"]) + len(parts["data"])
    return fields


def _translated(field: str, problem: str, offset: int | None) -> Iso8583Error:
    """An error of the library's as ours. Its words name lengths and numbers, never what a field holds."""
    named = {"t": "mti", "p": "bitmap", "1": "bitmap", "h": "mti"}.get(field)
    return Iso8583Error(named or int(field), problem[:1].lower() + problem[1:], offset)


@cache
def _spec(layout: Layout) -> Mapping[str, Mapping[str, Any]]:
    """The layout as the library wants it."""
    bitmap = _entry(Form("b", 8, 0), layout)
    header = _entry(Form("n", 0, 0), layout)
    special = {"h": header, "t": _entry(Form("n", 4, 0), layout), "p": bitmap, "1": bitmap}
    return special | {str(number): _entry(form, layout) for number, form in FORMS[layout.version].items()}


def _entry(form: Form, layout: Layout) -> Mapping[str, Any]:
    is_raw = form.kind == "b" and layout.bitmap == "binary"
    return {
        "data_enc": "b" if is_raw else "ascii",
        "len_enc": "ascii",
        "len_type": form.length_digits,
        "max_len": form.longest if is_raw else form.characters,
        "desc": "",
    }
