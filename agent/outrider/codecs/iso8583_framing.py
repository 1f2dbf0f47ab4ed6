"""ISO 8583 messages in a stream of bytes: each behind its length.

Rules
-----
1. The length is two bytes, the higher one first (`binary-2`), or four digits (`ascii-4`). It counts the header and the
   message, and itself only where both sides agreed so (`counts_itself`).
2. A header (a TPDU of five bytes, as a rule) stands between length and message. On an answer it is as long, and may
   hold something else: addresses are swapped.
3. A length that no message can have ends the reading at once: a web page is not waited for as if it were 18 kB long.
"""

from __future__ import annotations

from dataclasses import dataclass

from outrider.codecs.framing import FramingError
from outrider.codecs.iso8583 import LONGEST

PREFIXES = {"binary-2": 2, "ascii-4": 4}
MOST_HEADER = 64
_SHORTEST = 12
"""Type and bitmap, in bytes."""


@dataclass(frozen=True, slots=True)
class Framing:
    """How messages follow each other. Raises ValueError for a prefix that is not known, or a header above 64 bytes."""

    prefix: str = "binary-2"
    counts_itself: bool = False
    header: bytes = b""

    def __post_init__(self) -> None:
        if self.prefix not in PREFIXES:
            raise ValueError(f"a length is written {' or '.join(PREFIXES)}, not {self.prefix!r}")
        if len(self.header) > MOST_HEADER:
            raise ValueError(f"a header has at most {MOST_HEADER} bytes")

    @property
    def length_size(self) -> int:
        """How many bytes say the length."""
        return PREFIXES[self.prefix]

    @property
    def message_at(self) -> int:
        """Where in a frame the message begins."""
        return self.length_size + len(self.header)

    def wrap(self, message: bytes, header: bytes | None = None) -> bytes:
        """A frame around a message, with another header if one is given. Raises ValueError where it is too long."""
        body = (self.header if header is None else header) + message
        length = len(body) + (self.length_size if self.counts_itself else 0)
        if length > LONGEST:
            raise ValueError(f"header and message are {length} bytes long; the most is {LONGEST}")
        return (length.to_bytes(2, "big") if self.prefix == "binary-2" else b"%04d" % length) + body

    def ends(self, came: bytearray) -> int | None:
        """See `outrider.codecs.framing.Ends`."""
        if len(came) < self.length_size:
            return None
        size = self._length(bytes(came[: self.length_size])) + (0 if self.counts_itself else self.length_size)
        return size if len(came) >= size else None

    def _length(self, written: bytes) -> int:
        if self.prefix == "ascii-4" and not written.isdigit():
            raise FramingError("bad-length", "the length is not four digits")
        length = int.from_bytes(written, "big") if self.prefix == "binary-2" else int(written)
        shortest = len(self.header) + _SHORTEST + (self.length_size if self.counts_itself else 0)
        if not shortest <= length <= LONGEST:
            raise FramingError("bad-length", f"a length of {length} bytes; a message has {shortest} to {LONGEST}")
        return length

    def unwrap(self, frame: bytes) -> bytes:
        """The message of a frame that `ends` found."""
        return frame[self.message_at :]
