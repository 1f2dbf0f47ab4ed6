"""Where a message ends in a stream of bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias


class FramingError(ValueError):
    """What came can never become a message, however much more comes; `code` is the finding's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


Ends: TypeAlias = Callable[[bytearray], int | None]
"""How many of the bytes that came are the first message; None while it is not complete. Raises FramingError."""

LONGEST_LINE = 4096


def line(came: bytearray) -> int | None:
    """A message is a line, ended by a line feed, of at most `LONGEST_LINE` bytes."""
    end = came.find(b"\n", 0, LONGEST_LINE)
    if end < 0 and len(came) >= LONGEST_LINE:
        raise FramingError("too-long", f"the line is longer than {LONGEST_LINE} bytes")
    return end + 1 if end >= 0 else None
