"""Our reader against pyx12's map-less one, on our own messages broken in every way of a table.

Both are asked one thing: does this hold together? Where they differ, the difference has a name and a reason below,
or the test fails. Everything is enumerated, not drawn: each segment is dropped, repeated and swapped with each other
one, each count and number changed, each byte of ISA taken out.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import combinations

import pytest
import test_claim_status as claim_status
import test_eligibility as eligibility
import test_prior_authorization as prior_authorization
from hypothesis import given, settings
from hypothesis import strategies as st
from pyx12.errors import X12Error as OracleError
from pyx12.x12file import X12Reader
from x12_support import acknowledged, ta1

from outrider.codecs.claim_status import write_request as write_276
from outrider.codecs.eligibility import Rejection, write_inquiry
from outrider.codecs.prior_authorization import write_request as write_278
from outrider.codecs.x12 import X12Error, read

MESSAGES: dict[str, bytes] = {
    "270": write_inquiry(eligibility.INQUIRY),
    "270 of a dependent": write_inquiry(eligibility.FAMILY),
    "271": eligibility.answer(benefits=eligibility.ACTIVE),
    "271 that rejects": eligibility.answer(rejections=[Rejection("75", "2100C")]),
    "276": write_276(claim_status.INQUIRY),
    "277 of a dependent": claim_status.answer(claim_status.FAMILY),
    "278": write_278(prior_authorization.REQUEST),
    "278 that answers": prior_authorization.answer(prior_authorization.FAMILY),
    "999": acknowledged("AK1*HS*42", "AK2*270*0001", "IK3*NM1*8**8", "IK4*9*67*7", "IK5*R*5", "AK9*R*1*1*0"),
    "TA1": ta1("TA1*000000042*260601*2215*R*024"),
}

LEGITIMATE: dict[tuple[str, str], tuple[str, str]] = {
    ("we", "isa-digits"): (r"ISA1[234]|of ISA", "ISA09, 10 and 12 to 14 are numbers; the oracle reads any text there"),
    ("we", "isa-width"): (r"of ISA06|ISA1[2-5]", "each element of ISA has its width; the oracle looks at the sum"),
    ("we", "gs06"): (r"GS06", "GS06 is a number; the oracle only compares it with GE02"),
    ("we", "isa15"): (r"ISA15|of ISA", "usage is T or P; the oracle reads any text there"),
    ("we", "separators"): (r"of ISA|separator is|terminator is", "a letter, a blank or a digit cannot separate"),
    ("we", "gs01-st01"): (r"GS01|ST01", "a group holds sets of its kind; the oracle does not look at GS01"),
    ("we", "gs08-st03"): (r"GS08|ST03|control character", "ST03 repeats GS08; the oracle looks at neither"),
    ("we", "st01"): (r"ST01", "a set id is three digits; the oracle does not look at ST01"),
    ("we", "misplaced"): (r"segment", "nothing but sets stands in a group; the oracle counts only from ST to SE"),
    ("we", "hl-number"): (r"HL01 .* is '0", "HL01 counts without leading zeros; the oracle compares numbers"),
    ("we", "hl-parent"): (r"HL02 .* is '0", "HL02 repeats HL01 as it stands; the oracle compares numbers"),
    ("we", "bad-character"): (r"control character", "no element holds a control character; the oracle does not look"),
    ("we", "after-iea"): (r"after IEA|segment", "nothing follows IEA; the oracle passes over what has no terminator"),
    ("we", "empty-interchange"): (r"segment", "an interchange holds a group or a TA1; the oracle takes neither"),
    ("oracle", "seg 1"): (r"b'  ' before segment", "an indented segment is the same segment"),
    ("oracle", "seg SEG1"): (r"empty element|is ''", "what is empty at the end changes no value, so it is read"),
    ("oracle", "isa 023"): (
        r"every segment ends in", "a blank line is none where line ends terminate; the oracle stops at it",
    ),
    ("oracle", "isa unreadable"): (
        r"ISA12|of ISA|before ISA", "versions beside 00401 and 00501, a byte order mark, blanks in front are read",
    ),
}  # fmt: skip
"""Who is the stricter one and with which code -> the mutations (a pattern) that may lead to it, and why it is right."""


def verdict(raw: bytes) -> str:
    """Our code for what is wrong; "" for a message that holds together."""
    try:
        read(raw)
    except X12Error as error:
        return error.code
    return ""


def oracle_verdict(raw: bytes) -> str:
    """The oracle's first error as "kind code"; "" for a message that holds together."""
    errors = []
    try:
        reader = X12Reader(io.StringIO(raw.decode("latin-1"), newline=""))
        for _segment in reader:
            errors += reader.pop_errors()
        reader.cleanup()
        errors += reader.pop_errors()
    except OracleError:
        return "isa unreadable"
    except (IndexError, TypeError):  # it looks for the opening segment of an end that has none
        return "loop unopened"
    return f"{errors[0][0]} {errors[0][1]}" if errors else ""


def joined(segments: list[str]) -> bytes:
    return "".join(f"{segment}~" for segment in segments).encode()


def changed(segments: list[str], at: int, element: int, value: str) -> bytes:
    parts = segments[at].split("*")
    parts[element] = value
    return joined([*segments[:at], "*".join(parts), *segments[at + 1 :]])


def moved(segments: list[str]) -> Iterator[tuple[str, bytes]]:
    for at in range(len(segments)):
        yield f"segment {at} dropped", joined(segments[:at] + segments[at + 1 :])
        yield f"segment {at} twice", joined(segments[: at + 1] + segments[at:])
        yield f"cut after segment {at}", joined(segments[: at + 1])
        yield f"a stray segment after segment {at}", joined([*segments[: at + 1], "REF*ZZ*1", *segments[at + 1 :]])
    for one, other in combinations(range(len(segments)), 2):
        swapped = list(segments)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        yield f"segments {one} and {other} swapped", joined(swapped)


NUMBERS = {
    "SE": (1, 2), "GE": (1, 2), "IEA": (1, 2), "ST": (1, 2, 3), "GS": (1, 6, 8), "HL": (1, 2, 3), "TA1": (1,),
    "ISA": (12, 13, 14, 15),
}  # fmt: skip


def renumbered(segments: list[str]) -> Iterator[tuple[str, bytes]]:
    group = "".join(segments[1:2]).split("*")
    if group[0] == "GS" and len(group) > 6:
        letters = [
            *segments[:1],
            segments[1].replace(f"*{group[6]}*X", "*A1*X"),
            *segments[2:-2],
            "GE*1*A1",
            segments[-1],
        ]
        yield "GS06 and GE02 are letters", joined(letters)
    for at, segment in enumerate(segments):
        parts = segment.split("*")
        for element in NUMBERS.get(parts[0], ()):
            if element < len(parts):
                old = parts[element]
                more = str(int(old) + 1).zfill(len(old)) if old.isdecimal() else old + "9"
                for value in ("", "0", more, "9" * max(len(old), 1), "X" * max(len(old), 1), "0" + old):
                    if value != old:
                        yield (
                            f"{parts[0]}{element:02d} of segment {at} is {value!r}",
                            changed(segments, at, element, value),
                        )


def repunctuated(segments: list[str]) -> Iterator[tuple[str, bytes]]:
    raw = joined(segments)
    for at in range(1, len(segments)):
        before, after = joined(segments[:at]), joined(segments[at:])
        for gap in (b"\n", b"\r\n", b"  ", b"~"):
            yield f"{gap!r} before segment {at}", before + gap + after
        for end in (b"", b"\n", b"!", b"*"):
            yield f"{end!r} ends segment {at - 1}", before[:-1] + end + after
        yield (
            f"an empty element at the end of segment {at}",
            joined([*segments[:at], segments[at] + "*", *segments[at + 1 :]]),
        )
        yield f"a lower case id of segment {at}", joined([*segments[:at], segments[at].lower(), *segments[at + 1 :]])
        yield (
            f"a control character in segment {at}",
            joined([*segments[:at], segments[at] + "\x07", *segments[at + 1 :]]),
        )
    for end in (b"\x1d", b"\r", b"\n", b"'", b"\r\n", b"\n\n"):
        yield f"every segment ends in {end!r}", raw.replace(b"~", end)
    for mark in (b":", b"^", b"A", b" "):
        yield f"the terminator is {mark!r}", raw.replace(b"~", mark)
        yield f"the element separator is {mark!r}", raw.replace(b"*", mark)
    for start in (b"\xef\xbb\xbf", b" ", b"\r\n"):
        yield f"{start!r} before ISA", start + raw
    for tail in (b"\n", b" ", b"\x1a", b"x", raw):
        yield f"{tail[:3]!r} after IEA", raw + tail


def with_damaged_isa(segments: list[str]) -> Iterator[tuple[str, bytes]]:
    raw = joined(segments)
    yield "a blank of ISA06 moved to ISA08", raw[:40] + raw[41:60] + b" " + raw[60:]
    for at in range(106):
        yield f"byte {at} of ISA taken out", raw[:at] + raw[at + 1 :]
        yield f"byte {at} of ISA twice", raw[: at + 1] + raw[at:]
        for mark in (b"*", b"~", b"Q", b" "):
            yield f"byte {at} of ISA is {mark!r}", raw[:at] + mark + raw[at + 1 :]


def mutations(name: str) -> Iterator[tuple[str, bytes]]:
    segments = MESSAGES[name].decode().split("~")[:-1]
    for kind in (moved, renumbered, repunctuated, with_damaged_isa):
        yield from kind(segments)


def difference(raw: bytes) -> tuple[str, str] | None:
    """How the two readers differ: who is the stricter one ("we", "oracle"), and its code."""
    ours, theirs = verdict(raw), oracle_verdict(raw)
    if bool(ours) == bool(theirs):
        return None
    return ("we", ours) if ours else ("oracle", theirs)


def is_legitimate(what: str, found: tuple[str, str]) -> bool:
    return found in LEGITIMATE and bool(re.search(LEGITIMATE[found][0], what))


@pytest.mark.parametrize("name", MESSAGES)
def test_both_readers_take_our_own_messages(name: str) -> None:
    assert (verdict(MESSAGES[name]), oracle_verdict(MESSAGES[name])) == ("", "")


@pytest.mark.parametrize("name", MESSAGES)
def test_the_readers_differ_about_a_broken_message_only_where_it_is_listed(name: str) -> None:
    differences = [(what, difference(raw)) for what, raw in mutations(name)]
    unlisted = [(what, found) for what, found in differences if found and not is_legitimate(what, found)]
    assert unlisted == []
    assert len(differences) > 700


def test_every_listed_difference_occurs() -> None:
    found = {difference(raw) for name in MESSAGES for _, raw in mutations(name)}
    assert found - {None} == set(LEGITIMATE)


def test_most_mutations_are_refused_by_both() -> None:
    refused = accepted = 0
    for name in MESSAGES:
        for _, raw in mutations(name):
            if verdict(raw) and oracle_verdict(raw):
                refused += 1
            elif not verdict(raw) and not oracle_verdict(raw):
                accepted += 1
    assert refused > 5_000
    assert accepted > 1_000


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(MESSAGES)), st.data())
def test_the_readers_differ_about_a_message_broken_twice_only_where_it_is_listed(
    name: str, data: st.DataObject
) -> None:
    """What moves and what renumbers may make up for each other; both readers have to see that alike."""
    told, raw = [], MESSAGES[name]
    for _ in range(2):
        segments = raw.decode().split("~")[:-1]
        what, raw = data.draw(st.sampled_from([*moved(segments), *renumbered(segments)]))
        told.append(what)
    found = difference(raw)
    assert found is None or is_legitimate("; ".join(told), found), (told, found)
