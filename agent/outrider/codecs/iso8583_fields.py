"""The data elements of ISO 8583: the form of each, and the names that requests call them by.

A form is written as the standard writes it: `n6` is six digits, `n..19` up to 19 digits after two that say how many,
`ans...999` up to 999 printable characters after three such digits, `x+n8` a C or D (credit, debit) and eight digits,
`b8` eight bytes. Lengths are in characters, and in bytes for `b`.

Rules
-----
1. What only a card, a PIN pad or a key could have made (track, PIN, chip, authentication code) is never sent: `SECRET`.
2. Of money nothing is sent but field 4: an amount that the money guard does not see must not exist (`AMOUNTS`).
3. A field with a name is called by it, so that a rule about a name (pan, amount, currency) cannot be gone around. The
   others are `de` and their number.
4. Only what is in `SHOWABLE` of an answer becomes a fact: private fields hold whatever a switch likes.

Source: ISO 8583:1987 table 6 and ISO 8583:1993 table 3, both with ASCII characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

VERSIONS = (1987, 1993)


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a field: its kind (n, an, ans, x+n, b), its longest length, and how many digits say the length (0
    where it is fixed)."""

    kind: str
    longest: int
    length_digits: int

    @property
    def characters(self) -> int:
        """The longest length in characters of text; a byte is two, in hex."""
        return self.longest * (2 if self.kind == "b" else 1) + (self.kind == "x+n")

    def problem(self, text: str) -> str:
        """What is wrong with a text as this field; "" if nothing. It never says the text."""
        what = f"{'' if self.length_digits == 0 else 'up to '}{self.characters} {_WORDS[self.kind]}"
        if not _ALLOWED[self.kind].fullmatch(text):
            return f"not {what}"
        fits = len(text) <= self.characters if self.length_digits else len(text) == self.characters
        return "" if fits else f"{len(text)} characters, not {what}"


_ALLOWED = {
    "n": re.compile(r"[0-9]*"),
    "an": re.compile(r"[0-9A-Za-z ]*"),
    "ans": re.compile(r"[ -~]*"),
    "x+n": re.compile(r"[CD][0-9]*"),
    "b": re.compile(r"(?:[0-9A-Fa-f]{2})*"),
}
_WORDS = {
    "n": "digits",
    "an": "letters, digits and blanks",
    "ans": "printable ASCII characters",
    "x+n": "characters, C or D and digits",
    "b": "hex digits",
}
_NOTATION = re.compile(r"(n|an|ans|x\+n|b)(\.*)([0-9]+)")


def _form(notation: str) -> Form:
    found = _NOTATION.fullmatch(notation)
    assert found is not None, notation
    return Form(found[1], int(found[3]), len(found[2]))


def _forms(text: str) -> dict[int, Form]:
    """Read "2 n..19, 4-6 n12": a number or a range of numbers, and their form."""
    forms = {}
    for entry in text.replace("\n", " ").split(","):
        numbers, notation = entry.split()
        first, _, last = numbers.partition("-")
        forms.update(dict.fromkeys(range(int(first), int(last or first) + 1), _form(notation)))
    return forms


_1987 = _forms("""
    2 n..19, 3 n6, 4-6 n12, 7 n10, 8-10 n8, 11-12 n6, 13-18 n4, 19-24 n3, 25-26 n2, 27 n1, 28-31 x+n8, 32-33 n..11,
    34 ans..28, 35 ans..37, 36 ans...104, 37 an12, 38 an6, 39 an2, 40 an3, 41 ans8, 42 ans15, 43 ans40, 44 ans..25,
    45 ans..76, 46-48 ans...999, 49-51 an3, 52 b8, 53 n16, 54 ans...120, 55-63 ans...999, 64 b8, 66 n1, 67 n2,
    68-70 n3, 71-72 n4, 73 n6, 74-81 n10, 82-85 n12, 86-89 n16, 90 n42, 91 an1, 92 an2, 93 an5, 94 an7, 95 an42, 96 b8,
    97 x+n16, 98 ans25, 99-100 n..11, 101 ans..17, 102-103 ans..28, 104 ans...100, 105-127 ans...999, 128 b8
""")

_1993 = _1987 | _forms("""
    12 n12, 15 n6, 22 an12, 25-26 n4, 28 n6, 29 n3, 30 n24, 31 ans..99, 39 n3, 40 n3, 43-44 ans..99, 46 ans...204,
    53 b..48, 55 b...255, 56 n..35, 57 n3, 58 n..11, 66 ans...204, 71 n8, 72 ans...999, 82-85 n10, 90 n10, 91-92 n3,
    93-94 n..11, 95 ans..99, 96 b...999, 99 ans..11, 105-106 n16, 107-108 n10, 109-110 ans..84
""")

FORMS: Mapping[int, Mapping[int, Form]] = {1987: _1987, 1993: _1993}
"""Version -> number -> form. Number 1 is the second bitmap and 65 would be a third one: neither is a field."""

PAN, AMOUNT, TRANSMITTED, STAN, LOCAL_TIME, RRN, RESPONSE, TERMINAL, CURRENCY = 2, 4, 7, 11, 12, 37, 39, 41, 49
ORIGINAL: Mapping[int, int] = {1987: 90, 1993: 56}
"""Where a reversal names what it reverses."""

_NAMES = {
    2: "pan", 3: "processing_code", 4: "amount", 7: "transmission_date_time", 11: "stan", 12: "local_time",
    14: "expiration_date", 15: "settlement_date", 18: "merchant_type", 19: "acquirer_country", 23: "card_sequence",
    32: "acquirer", 33: "forwarder", 37: "rrn", 38: "approval_code", 41: "terminal", 42: "merchant",
    43: "merchant_name", 49: "currency",
}  # fmt: skip
NAMES: Mapping[int, Mapping[int, str]] = {
    1987: _NAMES | {13: "local_date", 22: "pos_entry_mode", 24: "network_id", 25: "pos_condition_code",
                    39: "response_code", 70: "network_code", 90: "original"},
    1993: _NAMES | {13: "effective_date", 22: "pos_data_code", 24: "function_code", 25: "reason_code",
                    26: "business_code", 39: "action_code", 56: "original"},
}  # fmt: skip
"""Version -> number -> name."""

SECRET = frozenset((34, 35, 36, 45, 52, 53, 55, 64, 65, 96, 128))
"""Rule 1; 34 is a PAN in another form."""

AMOUNTS: Mapping[int, frozenset[int]] = {
    1987: frozenset((5, 6, 8, 28, 29, 30, 31, 54, *range(74, 90), 95, 97)),
    1993: frozenset((5, 6, 8, 30, 46, 54, 66, *range(74, 91), 97, *range(105, 111))),
}
"""Rule 2."""

SHOWABLE = frozenset((3, 4, 7, 11, 12, 13, 15, 24, 25, 37, 38, 39, 41, 42, 49, 70))
"""Rule 4."""


def names_of(version: int) -> Mapping[str, int]:
    """What requests of a version may name, and the number of each (rules 1 to 3)."""
    called = {number: NAMES[version].get(number, f"de{number}") for number in FORMS[version]}
    return {name: number for number, name in called.items() if number not in SECRET | AMOUNTS[version]}
