"""Redaction: what must never be stored, logged or shown is masked, in text whose form is not known beforehand.

The rules. Each finds its spans in the text as it came, so that none hides a thing from another; where spans of
different rules overlap, all of it is masked.

1. A known secret, as it is, and as it looks in a URL, in JSON, in XML and in base64, also where its UTF-8 was read as
   Latin-1 or the other way round. Secrets of fewer than four
   characters (a CVV, a PIN) only as whole tokens.
2. A card number: 13 to 19 digits that pass the Luhn check, in one run or in groups with up to four blanks
   or dashes between.
   First six and last four stay (PCI DSS 4.0.1, 3.4.1). Numbers that start with 0, or with 1 and are not 15
   digits long, are nobody's card (ISO/IEC 7812; times in microseconds look like that). In runs past 19 digits,
   a number after its own length (ISO 8583, field 2) counts. After a number, track data goes with it.
3. A social security number, ddd-dd-dddd.
4. X12 segments about a person: NM1 of a subscriber, dependent or patient from NM103 on, DMG, N3, N4, CLM01, and REF
   of a social security number (SY), a patient's account (EJ) or the payer's number for a claim (1K).
   Separators are those of the ISA before it; without one `*`, `|` and `^` between elements and `~`, GS or the end
   of the line after them.
5. The value of a field with a telling name (password, cvv, pin, track, account_number, authorization, ...) as a
   header, in JSON, in a form, in XML and in MIME parts, also where name and value are fields of their own; and the
   password in an address.
6. In FHIR JSON, names (family, given), birth dates and subscriber ids, and identifiers whose type says that they are a
   person's (MB, MR, SS, ...).

Each rule reads the text as it stands, and once more unpacked (`readings`): escapes as in URLs, forms, JSON and XML
taken back, with the digits, blanks and dashes of every script as plain ones.

The work is linear in the text: patterns that search have bounded repeats only, what follows a name is read once,
and no place is read again after it has been masked. A mask can give what stands next to it a new meaning, so that
the rules are applied until the text stays as it is, four times at most; card numbers then lose all their digits.
"""

from __future__ import annotations

from collections.abc import Iterable

from outrider.redact.cards import card_numbers, card_spans
from outrider.redact.display import printable
from outrider.redact.fields import (
    element_spans,
    fhir_spans,
    field_spans,
    login_spans,
    named_element_spans,
    pair_spans,
    part_spans,
)
from outrider.redact.known_secrets import ANYWHERE_FROM, all_shapes, secret_patterns, secret_spans
from outrider.redact.persons import ssn_spans, x12_spans
from outrider.redact.readings import each_reading
from outrider.redact.spans import MASK, Rule, Span, replaced

__all__ = [
    "MASK",
    "RULES",
    "Redactor",
    "Rule",
    "Span",
    "card_numbers",
    "card_spans",
    "cards_masked",
    "printable",
    "secret_spans",
]

_CUT_FROM = 200
_ROUNDS = 4
_ROUNDS_WITH_DIGITS = 2

RULES: tuple[Rule, ...] = (
    ssn_spans,
    x12_spans,
    field_spans,
    element_spans,
    named_element_spans,
    pair_spans,
    part_spans,
    login_spans,
    fhir_spans,
)


class Redactor:
    """Masks known secrets and whatever the rules above name. Holds the secrets; has no other state."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._shapes = all_shapes(secrets)
        self._secrets = secret_patterns(self._shapes)

    def text(self, text: str) -> str:
        """The text with everything masked that the rules name. Redacting it again changes nothing."""
        for round_number in range(_ROUNDS):
            redacted = self._once(text, with_digits=round_number < _ROUNDS_WITH_DIGITS)
            if redacted == text:
                break
            text = redacted
        return text

    def detail(self, text: str) -> str:
        """The same for a text that was cut where it ends, if it is long: the beginning of a secret or of a card number
        there is masked too."""
        return self.text(text[: self._end_of_whole(text)] if len(text) >= _CUT_FROM else text)

    def _end_of_whole(self, text: str) -> int:
        """Where the text ends without a last part that is the beginning of a secret, or digits."""
        end = min(reading.places[len(reading.text.rstrip("0123456789- "))] for reading in each_reading(text))
        for shape in self._shapes:
            start = max(len(text) - len(shape) + 1, 0)
            while (start := text.find(shape[:ANYWHERE_FROM], start)) >= 0:
                if shape.startswith(text[start:]):
                    end = min(end, start)
                    break
                start += 1
        return end

    def bytes(self, content: bytes) -> bytes:
        """The same for UTF-8; bytes that are not UTF-8 stay as they are."""
        return self.text(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def _once(self, text: str, *, with_digits: bool) -> str:
        spans: list[Span] = []
        for reading in each_reading(text):
            found = [*secret_spans(reading.text, self._secrets), *card_spans(reading.text, with_digits=with_digits)]
            for rule in RULES:
                found.extend(rule(reading.text))
            spans.extend(reading.taken_back(found, text))
        return replaced(text, spans)


def cards_masked(text: str) -> str:
    """The text with nothing but its card numbers masked (rule 2): for words of our own about what somebody wrote."""
    spans = [span for reading in each_reading(text) for span in reading.taken_back(card_spans(reading.text), text)]
    return replaced(text, spans)
