"""An ISO 8583 request as people see it: field by field, then the bytes in hex.

Of the card number the first six and the last four digits stand there (PCI DSS 4.0.1, 3.4.1), also where it stands again
in another field. Bytes are parted by dots: with blanks, hex digits would look like card numbers to the redactor.
"""

from __future__ import annotations

from collections.abc import Iterator

from outrider.codecs.iso8583 import Message
from outrider.codecs.iso8583_fields import NAMES, PAN

_IN_A_ROW = 16
_SHORTEST = 13
_MASKED = "**"


def shown(message: Message, version: int, frame: bytes) -> str:
    """The lines; `frame` is what goes over the wire, length and header too."""
    pan = message.fields.get(PAN, "")
    lines = [f"{message.mti} (ISO 8583:{version})"]
    for number, text in message.fields.items():
        name = NAMES[version].get(number, "")
        lines.append(f"  {number:>3} {name:<23}{_without(text, pan)}".rstrip())
    return "\n".join([*lines, f"{len(frame)} bytes", *_rows(frame, pan.encode("ascii"))])


def _without(text: str, pan: str) -> str:
    return text.replace(pan, _masked(pan)) if pan else text


def _masked(pan: str) -> str:
    visible = (6, 4) if len(pan) >= _SHORTEST else (0, 0)
    return pan[: visible[0]] + "*" * (len(pan) - sum(visible)) + pan[len(pan) - visible[1] :]


def _rows(frame: bytes, pan: bytes) -> Iterator[str]:
    hidden = set(_hidden(frame, pan))
    written = [_MASKED if place in hidden else f"{byte:02X}" for place, byte in enumerate(frame)]
    for start in range(0, len(written), _IN_A_ROW):
        yield f"  {start:04X}  {':'.join(written[start : start + _IN_A_ROW])}"


def _hidden(frame: bytes, pan: bytes) -> Iterator[int]:
    """The places of the digits between the first six and the last four, wherever the number stands."""
    masked = _masked(pan.decode("ascii"))
    start = frame.find(pan) if pan else -1
    while start >= 0:
        yield from (start + place for place, character in enumerate(masked) if character == "*")
        start = frame.find(pan, start + 1)
