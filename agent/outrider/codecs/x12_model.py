"""The parts of an X12 interchange as values, and the one error that reading or writing it can end in.

Rules
-----
1. Every value keeps where it stood: segment number (from 1, ISA is 1) and byte offset in what was received.
2. What a message says about a person never reaches an error or a `repr`: both end up in logs and results.
3. Text is one character per byte (ISO 8859-1), so offsets are exact and reading loses nothing.
4. What is read is a named tuple, not a dataclass: a reader makes one for every segment of every answer, and this is
   made in half the time.

Source: X12.5 (interchange control structures), X12.6 (application control structures).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

NO_REPETITION = ""
"""The repetition separator of an interchange older than 00402, where ISA11 means something else."""


class X12Error(ValueError):
    """What is wrong with an interchange, and where.

    `code` is a short stable slug ("se01-count", "truncated"), `where` the segment and element ("SE01"; "segment"
    if its id is not a known one), `segment` counts from 1 (0: unknown), `offset` is in bytes. The text repeats
    nothing of the message but what this module's users have checked to be harmless.
    """

    def __init__(self, code: str, what: str, where: str = "interchange", segment: int = 0, offset: int = 0) -> None:
        super().__init__(code, what, where, segment, offset)
        self.code = code
        self.what = what
        self.where = where
        self.segment = segment
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.where}: {self.what} (segment {self.segment}, byte {self.offset})"


@dataclass(frozen=True, slots=True)
class Separators:
    """The four characters that an interchange is cut with. Raises X12Error("separators") if they cannot work.

    Each is one ASCII character, neither a letter, a digit, a space, NUL nor DEL, and no two are the same.
    """

    element: str = "*"
    repetition: str = "^"
    component: str = ":"
    segment: str = "~"

    def __post_init__(self) -> None:
        chosen = self.characters
        singles = all(len(c) == 1 for c in (self.element, self.component, self.segment)) and len(self.repetition) <= 1
        if not singles or len(set(chosen)) != len(chosen):
            raise X12Error("separators", "the separators are not different single characters", "ISA", 1)
        if any(c.isalnum() or not "\x00" < c < "\x7f" or c == " " for c in chosen):
            raise X12Error("separators", "a letter, digit, blank or non-ASCII byte stands for a separator", "ISA", 1)

    @property
    def characters(self) -> str:
        """All of them in one text."""
        return self.element + self.repetition + self.component + self.segment


DEFAULT_SEPARATORS = Separators()


class Segment(NamedTuple):
    """One segment as it was read. `parts` are its raw texts: the id, then the elements, so `parts[1]` is element 1.

    The `repr` leaves them out.
    """

    id: str
    parts: tuple[str, ...]
    number: int
    offset: int

    def __repr__(self) -> str:
        return f"Segment(id={self.id!r}, number={self.number}, offset={self.offset})"

    @property
    def elements(self) -> tuple[str, ...]:
        """The parts without the id."""
        return self.parts[1:]

    def get(self, n: int) -> str:
        """Element n, from 1 as the standard counts; "" if the segment ends before it."""
        return self.parts[n] if 0 < n < len(self.parts) else ""

    def repeats(self, n: int, separators: Separators) -> tuple[str, ...]:
        """The repetitions of element n; () if it is empty."""
        return _parts(self.get(n), separators.repetition)

    def components(self, n: int, separators: Separators) -> tuple[str, ...]:
        """The components of the composite element n; () if it is empty."""
        return _parts(self.get(n), separators.component)


class Transaction(NamedTuple):
    """One transaction set, ST to SE inclusive. `version` is the guide it follows ("005010X279A1")."""

    set_id: str
    control_number: str
    version: str
    segments: tuple[Segment, ...]


class FunctionalGroup(NamedTuple):
    """GS to GE. `functional_id` is GS01 ("HB" for 271), `version` GS08."""

    functional_id: str
    sender: str
    receiver: str
    control_number: str
    version: str
    transactions: tuple[Transaction, ...]


class Interchange(NamedTuple):
    """ISA to IEA. Sender and receiver are without padding; `control_number` is ISA13 with its leading zeros.

    `acknowledgements` are the TA1 segments between ISA and the first group.
    """

    sender_qualifier: str
    sender: str
    receiver_qualifier: str
    receiver: str
    control_number: str
    usage: str
    version: str
    separators: Separators
    groups: tuple[FunctionalGroup, ...]
    acknowledgements: tuple[Segment, ...] = ()

    @property
    def transactions(self) -> tuple[Transaction, ...]:
        """Every transaction of every group, in order."""
        return tuple([transaction for group in self.groups for transaction in group.transactions])


def _parts(text: str, separator: str) -> tuple[str, ...]:
    if not text:
        return ()
    return tuple(text.split(separator)) if separator else (text,)
