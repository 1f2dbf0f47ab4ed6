"""AAA, the segment that rejects a request: as eligibility (271) and prior authorisation (278) write and read it.

Source: X12 005010X279A1 and 005010X217 (AAA03 reject reasons, AAA04 follow-up actions).
"""

from __future__ import annotations

import re

from outrider.codecs.x12 import Line, Segment, X12Error
from outrider.codecs.x12_answer import LETTERS, SIGNS, at, code_of
from outrider.codecs.x12_loops import refuse
from outrider.core.outcome import Finding

REASON_CODES = frozenset(first + second for first in SIGNS for second in SIGNS)
"""Every code that has the list's shape, as a set: four times as fast as a pattern."""

_REASON = re.compile(r"[A-Z0-9]{2}")
_FOLLOW_UPS = frozenset("CNPRSWXY")
_VALID_BUT_REJECTED = frozenset(("42", "79", "80"))
"""Reject reasons that do not blame the request: AAA01 is Y with these."""

_REASONS = {
    "15": "the request lacks data",
    "41": "not authorised",
    "42": "cannot answer at the moment",
    "43": "provider unknown or invalid",
    "50": "provider may not ask this",
    "51": "provider not on file",
    "58": "birth date missing or invalid",
    "71": "birth date does not match",
    "72": "member id missing or invalid",
    "73": "name missing or invalid",
    "75": "subscriber not found",
    "76": "subscriber found twice",
    "79": "participant unknown or invalid",
    "80": "no answer from the payer",
}


def check_rejection(code: str, follow_up: str) -> None:
    """Raise X12Error("bad-code") for a reason (AAA03) or follow-up action (AAA04) that cannot be one."""
    if not _REASON.fullmatch(code):
        raise X12Error("bad-code", "a reject reason has two capitals or digits", "AAA03")
    if follow_up not in _FOLLOW_UPS:
        raise X12Error("bad-code", "a follow-up action is one letter of CNPRSWXY", "AAA04")


def rejection_line(code: str, follow_up: str) -> Line:
    """AAA."""
    return ("AAA", "Y" if code in _VALID_BUT_REJECTED else "N", "", code, follow_up)


def rejection_finding(loop: str, segment: Segment, level: str) -> Finding:
    """AAA as a finding at `aaa/<loop>`; `level` is the level's name for people.

    Raises X12Error: bad-code.
    """
    if segment.get(1) not in ("Y", "N"):
        refuse("bad-code", "AAA01 is neither Y nor N", segment, 1)
    code = code_of(REASON_CODES, segment, 3)
    follow_up = f", follow-up {code_of(LETTERS, segment, 4)}" if segment.get(4) else ""
    reason = _REASONS.get(code, "see the guide's list")
    return Finding(code, f"aaa/{loop}", f"{reason}, at the level of the {level}{follow_up} {at(segment)}")
