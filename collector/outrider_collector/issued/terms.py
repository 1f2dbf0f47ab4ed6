"""The terms that a statement was made under, as canonical JSON: written with it, and read when it is made again.

Every field of the agreement goes in by its name, so that one that is added to agreements later is kept too; one that
an older text does not have gets its default, which is what the software of then did.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from outrider.core.guarantee import Agreement, KnownExpiry
from outrider.core.units import Duration
from outrider.zones import read_zone
from outrider_collector.evidence import canonical


class TermsError(ValueError):
    """Terms that this software cannot read; the message says why."""


@dataclass(frozen=True, slots=True)
class Terms:
    """All that a statement depends on beside the facts."""

    agreement: Agreement
    settle: Duration
    known_expiries: tuple[KnownExpiry, ...]


def encode_terms(terms: Terms) -> str:
    """Canonical JSON: shares as "999/1000", zones by name, durations and instants in microseconds."""
    return canonical(msgspec.to_builtins(terms, enc_hook=_encode)).decode()


def decode_terms(text: str) -> Terms:
    """The terms in a text. Raises TermsError."""
    try:
        return msgspec.convert(msgspec.json.decode(text), Terms, dec_hook=_decode)
    except (msgspec.DecodeError, ValueError) as error:
        raise TermsError(f"these terms cannot be read by this software: {error}") from None


def _encode(value: Any) -> str:
    match value:
        case Fraction():
            return f"{value.numerator}/{value.denominator}"
        case ZoneInfo():
            return value.key
    raise NotImplementedError(type(value).__name__)


def _decode(kind: type, value: Any) -> Any:
    if kind is Fraction:
        return Fraction(value)
    if kind is ZoneInfo:
        return read_zone(value)
    raise NotImplementedError(kind.__name__)
