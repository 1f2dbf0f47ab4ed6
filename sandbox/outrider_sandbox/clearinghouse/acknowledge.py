"""What a payer answers to X12 that it cannot work with: a TA1 or a 999 that rejects, and why. And the 999 about a set
that it could read.

Rules
-----
1. Trouble with the interchange (ISA, IEA, the frame of groups) is a TA1, whose TA105 says what.
2. Trouble with a group or a transaction set is a 999 that rejects it, with IK502 or AK905.
3. When not even ISA can be read there is nobody to acknowledge, and the envelope's error code has to say it.

Sources: X12.5 (TA1, element I18), X12C 005010X231A1 (999, elements 618 and 716).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from outrider.codecs import x12

TA1_TYPE = "X12_TA1_Response_00501X231A1"
TYPE_999 = "X12_999_Response_005010X231A1"
VERSION_999 = "005010X231A1"
_ISA_BYTES = 106

# TA105 by what the reader found.
_TA105: Mapping[str, str] = {
    "iea02-isa13": "001",
    "isa-width": "022",
    "isa-digits": "018",
    "isa15": "020",
    "iea01-count": "021",
    "truncated": "023",
    "empty-interchange": "024",
    "empty-group": "024",
    "gs06": "024",
    "gs06-repeated": "024",
    "separators": "027",
    "after-iea": "022",
    "no-ge": "022",
    "misplaced": "022",
}

# TA105 for an element of ISA that is not digits.
_TA105_OF_DIGITS: Mapping[str, str] = {"ISA09": "014", "ISA10": "015", "ISA12": "017", "ISA13": "018", "ISA14": "019"}

# IK502 by what the reader found; anything else inside a set is "one or more segments in error".
_IK502: Mapping[str, str] = {
    "wrong-set": "1",
    "gs01-st01": "1",
    "no-se": "2",
    "st02-se02": "3",
    "se01-count": "4",
    "st01": "6",
    "st02-repeated": "7",
}
_SEGMENTS_IN_ERROR = "5"

# AK905 by what the reader found about the group itself.
_AK905: Mapping[str, str] = {"wrong-version": "2", "ge02-gs06": "4", "ge01-count": "5"}


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A rejection ready to send: the CORE PayloadType and the interchange."""

    payload_type: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Received:
    """What can be told of a broken interchange: the parts of ISA, of the first GS and of the first ST."""

    isa: list[str]
    group: list[str]
    opening: list[str]


def reject(
    raw: bytes, error: x12.X12Error, *, sender: str, control_number: int, created: datetime
) -> Acknowledgement | None:
    """The TA1 or 999 that this error earns, or None when the interchange does not say whose it is."""
    received = _look_through(raw)
    if received is None:
        return None
    isa = received.isa
    is_ta1 = error.code in _TA105 or len(received.group) < 9
    ta1: x12.Line = (
        "TA1",
        isa[13],
        isa[9],
        isa[10],
        "R",
        _TA105_OF_DIGITS.get(error.where) or _TA105.get(error.code, "022"),
    )
    try:
        payload = x12.write(
            () if is_ta1 else (_draft_999(error.code, received),),
            sender=sender,
            receiver=isa[6].strip(),
            receiver_qualifier=isa[5],
            control_number=control_number,
            created=created,
            functional_id="FA",
            version=VERSION_999,
            usage="P" if isa[15] == "P" else "T",
            acknowledgements=(ta1,) if is_ta1 else (),
        )
    except x12.X12Error:  # what would be repeated cannot be written
        return None
    return Acknowledgement(TA1_TYPE if is_ta1 else TYPE_999, payload)


def draft_verdict(raw: bytes, code: str, *, group: str = "") -> x12.Draft:
    """The 999 with this verdict (A, E or R) on an interchange of one set that could be read.

    `group` stands in AK102 in place of the group's own number, for a 999 about somebody else's.
    """
    received = _look_through(raw)
    if received is None:
        raise ValueError("this is no interchange")
    header = received.group
    return x12.Draft(
        "999",
        (
            ("AK1", header[1], group or header[6], header[8]),
            ("AK2", *received.opening[1:4]),
            ("IK5", code, *((_SEGMENTS_IN_ERROR,) if code != "A" else ())),
            ("AK9", code, "1", "1", "0" if code == "R" else "1"),
        ),
    )


def _draft_999(code: str, received: _Received) -> x12.Draft:
    group, opening = received.group, received.opening
    about_group: x12.Line = ("AK1", group[1], group[6], group[8])
    if code in _AK905 or len(opening) < 3:
        return x12.Draft("999", (about_group, ("AK9", "R", "1", "1", "0", _AK905.get(code, "1"))))
    about_set: x12.Line = ("AK2", *opening[1:4])
    verdict: x12.Line = ("IK5", "R", _IK502.get(code, _SEGMENTS_IN_ERROR))
    return x12.Draft("999", (about_group, about_set, verdict, ("AK9", "R", "1", "1", "0")))


def _look_through(raw: bytes) -> _Received | None:
    """None unless ISA is whole and its widths are right where it counts."""
    text = raw.decode("latin-1").removeprefix("\xef\xbb\xbf").lstrip(" \t\r\n")
    if not text.startswith("ISA") or len(text) < _ISA_BYTES:
        return None
    cut, end = text[3], text[_ISA_BYTES - 1]
    isa = text[: _ISA_BYTES - 1].split(cut)
    if len(isa) != 17 or len(isa[6]) != 15 or len(isa[13]) != 9:
        return None
    first: dict[str, list[str]] = {}
    for piece in text[_ISA_BYTES:].split(end):
        parts = piece.strip().split(cut)
        first.setdefault(parts[0], parts)
    return _Received(isa, first.get("GS", []), first.get("ST", []))
