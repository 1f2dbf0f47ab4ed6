"""Check digits: the Luhn formula, the NPI, and the ABA routing number.

Sources: ISO/IEC 7812-1, annex B (Luhn); CMS, "Requirements for NPI and NPI check digit" (Luhn over 80840 and the ten
digits); ANSI X9.13 (routing numbers, weights 3, 7, 1).
"""

from __future__ import annotations

import re

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_NPI = re.compile(r"[12][0-9]{9}")
_ROUTING = re.compile(r"[0-9]{9}")
_HEALTH_IN_THE_US = "80840"


def passes_luhn(digits: str) -> bool:
    """Whether the last of these ASCII digits is the Luhn check digit of the others."""
    doubled = (int(each) if place % 2 == 0 else _DOUBLED[int(each)] for place, each in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0


def is_npi(text: str) -> bool:
    """Whether a text is a national provider identifier: ten digits, the first 1 or 2, the last the check digit."""
    return bool(_NPI.fullmatch(text)) and passes_luhn(_HEALTH_IN_THE_US + text)


def is_routing_number(text: str) -> bool:
    """Whether a text is an ABA routing number: nine digits, not all zero, whose weighted sum ends in zero."""
    if not _ROUTING.fullmatch(text) or not int(text):
        return False
    return sum(int(digit) * (3, 7, 1)[place % 3] for place, digit in enumerate(text)) % 10 == 0
