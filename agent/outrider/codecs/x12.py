"""X12 interchanges: bytes <-> values. This is the name to import; the parts stand in the x12_* modules beside it.

`read` is strict: it reports and never forgives (its rules are in x12_reader). `write` fills in counts and repeated
numbers and refuses what X12 cannot express.
"""

from __future__ import annotations

from outrider.codecs.x12_model import (
    DEFAULT_SEPARATORS,
    FunctionalGroup,
    Interchange,
    Segment,
    Separators,
    Transaction,
    X12Error,
)
from outrider.codecs.x12_reader import KNOWN_SEGMENTS, MAX_BYTES, read, read_transmission
from outrider.codecs.x12_writer import Composite, Draft, DraftGroup, Element, Line, Repeated, write, write_groups

__all__ = [
    "DEFAULT_SEPARATORS",
    "KNOWN_SEGMENTS",
    "MAX_BYTES",
    "Composite",
    "Draft",
    "DraftGroup",
    "Element",
    "FunctionalGroup",
    "Interchange",
    "Line",
    "Repeated",
    "Segment",
    "Separators",
    "Transaction",
    "X12Error",
    "read",
    "read_transmission",
    "write",
    "write_groups",
]
