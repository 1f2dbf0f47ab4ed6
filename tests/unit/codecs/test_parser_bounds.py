"""Every parser of what strangers send: only typed errors come out, and work and memory stay within bounds.

The targets and their promises are those of `make fuzz` (bench.fuzz.targets). Bounds are tested by shape, not by the
clock: a message of twice the size may take twice the steps, and a multiple of its own size in memory, no more.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from importlib.util import find_spec
from types import FrameType
from typing import Any

import pytest
from bench.fuzz.__main__ import main
from bench.fuzz.targets import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs import core_mime, core_soap
from outrider.codecs.claim_status import read_response as read_277
from outrider.codecs.core_envelope import MAX_BYTES, EnvelopeError
from outrider.codecs.eligibility import read_response as read_271
from outrider.codecs.prior_authorization import read_response as read_278

PIECES = st.sampled_from(
    [
        b"~", b"*", b"^", b":", b"\r\n", b"ISA*", b"~HL*1**20*1~", b"~EB*1~", b"~AAA*N**75*C~", b"~STC*F1:65~",
        b"~HCR*A1~",
        b"~NM1*IL*1~", b"~TRN*2*trace-0001~", b"~SE*1*0001~", b"~ST*271*0001*005010X279A1~", b"~TA1*1~", b"~LE*2120~",
        b"--b-17\r\n", b"--b-17--", b"\r\n\r\n", b"Content-Disposition: form-data; name=", b"boundary=", b"name*0*=",
        b"<a>", b"</a>", b"<!--", b"<![CDATA[", b"]]>", b"&#0;", b"&lt;", b"<?a?>", b"<!DOCTYPE a>", b"xmlns:a='b'",
        b"\x00",
    ]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(TARGETS)), st.data())
def test_a_damaged_message_breaks_no_parser(name: str, data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from(TARGETS[name].seeds)))
    for _ in range(data.draw(st.integers(0, 6))):
        start = data.draw(st.integers(0, len(raw)))
        cut = data.draw(st.integers(0, 40))
        raw[start : start + cut] = data.draw(st.one_of(PIECES, st.binary(max_size=8)))
    TARGETS[name].run(bytes(raw))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(TARGETS)), st.lists(st.one_of(PIECES, st.binary(max_size=4)), max_size=60))
def test_a_heap_of_pieces_breaks_no_parser(name: str, pieces: list[bytes]) -> None:
    TARGETS[name].run(b"".join(pieces))


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_its_seeds_and_every_beginning_of_them(name: str) -> None:
    for seed in TARGETS[name].seeds:
        for length in range(0, len(seed) + 1, 7):
            TARGETS[name].run(seed[:length])
        TARGETS[name].run(seed)


def test_a_target_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-runs=1", "x13"]) == 104
    assert capsys.readouterr().err.startswith("there is no target x13; known: x12, 270, ")


def test_the_fuzzer_runs_a_bounded_time_or_says_in_a_line_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-runs=50", "x12"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert (
        line.split() == ["x12", "50", "runs,", "nothing", "broke", "it"] if find_spec("atheris") else "skipped" in line
    )


# --- shapes ----------------------------------------------------------------------------------------------------


def filled(seed: bytes, before: bytes, unit: bytes, size: int) -> bytes:
    """A seed with as many copies of `unit` before a segment as fit, and SE01 counted anew."""
    copies = (size - len(seed) - 20) // len(unit)
    head, mark, rest = seed.partition(before)
    assert mark, before
    body = head + unit * copies + mark + rest
    start, end = body.index(b"~ST*"), body.index(b"~SE*")
    number = body[start:end].count(b"~") + 1
    _, _, tail = body[end + 4 :].partition(b"*")
    return body[:end] + b"~SE*%d*" % number + tail


COVERED, PAID, CERTIFIED = TARGETS["271"].seeds[0], TARGETS["277"].seeds[0], TARGETS["278"].seeds[0]
ENVELOPE_HEAD = b'<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope"><env:Body>'


def sets(size: int) -> bytes:
    start, end = COVERED.index(b"ST*"), COVERED.index(b"GE*")
    one = COVERED[start:end].replace(b"*0001", b"*%06d")
    number = (size - 400) // (len(one) + 4)
    every = b"".join(one % (n, n) for n in range(number))
    return COVERED[:start] + every + COVERED[end:].replace(b"GE*1*", b"GE*%d*" % number)


def subscribers(size: int) -> bytes:
    number = (size - len(COVERED)) // 54
    more = b"".join(b"HL*%d*2*22*0~TRN*2*trace-0001~NM1*IL*1*A~EB*1~" % n for n in range(4, number))
    return filled(COVERED.replace(b"SE*", more + b"SE*", 1), b"SE*", b"MSG*X~", len(COVERED) + len(more) + 40)


def part(size: int) -> bytes:
    return b"--b\r\n" + b"X: y\r\n" * (size // 6 - 1)


def mime(body: bytes) -> str:
    return outcome(lambda: core_mime.read("multipart/form-data; boundary=b", body))


def soap(body: bytes) -> str:
    return outcome(lambda: core_soap.read("application/soap+xml", body))


def outcome(read: Callable[[], object]) -> str:
    try:
        read()
    except EnvelopeError as error:
        return error.code
    return ""


def answer(read: Callable[..., object]) -> Callable[[bytes], str]:
    def said(raw: bytes) -> str:
        findings = read(raw, trace="trace-0001", control_number=42).findings  # type: ignore[attr-defined]
        return findings[0].code if findings else ""

    return said


Shape = tuple[Callable[[bytes], str], Callable[[int], bytes], str]
SHAPES: dict[str, Shape] = {
    "benefits": (answer(read_271), lambda n: filled(COVERED, b"SE*", b"EB*1~", n), ""),
    "one benefit of all service types": (answer(read_271), lambda n:
        COVERED.replace(b"30^35", b"30^" * ((n - len(COVERED)) // 3) + b"35"), ""),
    "benefits with a bad end": (answer(read_271), lambda n: filled(COVERED, b"SE*", b"EB*1~", n - 20)
        .replace(b"~SE*", b"~EB*BAD~SE*"), "se01-count"),
    "rejections": (answer(read_271), lambda n: filled(COVERED, b"SE*", b"AAA*N**15*C~", n), "15"),
    "further entities": (answer(read_271), lambda n: filled(COVERED, b"SE*", b"LS*2120~NM1*P3~LE*2120~", n), ""),
    "subscribers": (answer(read_271), subscribers, ""),
    "transaction sets": (answer(read_271), sets, ""),
    "traces": (answer(read_271), lambda n: filled(COVERED, b"NM1*IL", b"TRN*2*x~", n), ""),
    "empty elements": (answer(read_271), lambda n:
        COVERED.replace(b"~SE*14", b"~MSG" + b"*" * (n - len(COVERED) - 10) + b"~SE*15"), ""),
    "blank lines": (answer(read_271), lambda n: (b"\n" * (n - len(COVERED))).join(
        COVERED.replace(b"~", b"\n").rsplit(b"\n", 1)), ""),
    "line ends": (answer(read_271), lambda n: COVERED.replace(b"~", b"~" + b"\r\n" * ((n - len(COVERED)) // 40)), ""),
    "nothing but a beginning": (answer(read_271), lambda n: COVERED[:106] + b"EB*1~" * ((n - 106) // 5), "truncated"),
    "statuses": (answer(read_277), lambda n: filled(PAID, b"SE*", b"STC*F1:65~", n), ""),
    "errors for statuses": (answer(read_277), lambda n: filled(PAID, b"SE*", b"STC*E1:0~", n), "E1"),
    "service lines": (answer(read_277), lambda n: filled(PAID, b"SE*", b"SVC*HC:1~STC*F1:65~", n), ""),
    "one status of many parts": (answer(read_277), lambda n: PAID.replace(b"F1:65", b"F1:65" + b":" * (n - len(PAID))),
        ""),
    "decisions": (answer(read_278), lambda n: filled(CERTIFIED, b"SE*", b"HCR*A1~", n), ""),
    "boundaries": (mime, lambda n: b"--b\r\n" * (n // 5), "boundary"),
    "half boundaries": (mime, lambda n: b"\r\n--" * (n // 4), "boundary"),
    "headers of a part": (mime, part, "truncated"),
    "a part without end": (mime, lambda n: b"--b\r\n\r\n" + b"\r" * (n - 9), "truncated"),
    "deep elements": (soap, lambda n: ENVELOPE_HEAD + b"<a>" * ((n - 100) // 3), "too-deep"),
    "wide elements": (soap, lambda n: ENVELOPE_HEAD + b"<a/>" * ((n - 100) // 4), "too-many"),
    "a tag without end": (soap, lambda n: ENVELOPE_HEAD + b"<a b='" + b"x" * (n - 100), "too-long"),
    "a comment without end": (soap, lambda n: ENVELOPE_HEAD + b"<!--" + b"x" * (n - 100), "too-long"),
    "comments": (soap, lambda n: ENVELOPE_HEAD + b"<!---->" * ((n - 100) // 7), "not-xml"),
    "sections": (soap, lambda n: ENVELOPE_HEAD + b"<a>" + b"<![CDATA[x]]>" * ((n - 100) // 13), "not-xml"),
    "references": (soap, lambda n: ENVELOPE_HEAD + b"<a>" + b"&amp;" * ((n - 100) // 5), "not-xml"),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_message_as_large_as_may_be_is_read_or_refused(name: str) -> None:
    read, make, expected = SHAPES[name]
    raw = make(MAX_BYTES)
    assert 0.5 * MAX_BYTES < len(raw) <= MAX_BYTES
    assert read(raw) == expected


def steps(read: Callable[[bytes], str], raw: bytes) -> int:
    """How many lines run and how many functions of C are called while a message is read."""
    count = 0

    def line(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += 1
        return line

    def call(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += 1

    before = sys.gettrace(), sys.getprofile()
    try:
        sys.settrace(line)
        sys.setprofile(call)
        read(raw)
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return count


@pytest.mark.parametrize("name", SHAPES)
def test_twice_the_size_takes_at_most_twice_the_steps(name: str) -> None:
    read, make, _ = SHAPES[name]
    small, large = make(16_384), make(32_768)
    read(small)  # what is kept between messages is made now
    assert steps(read, large) <= 2.2 * steps(read, small) + 200


@pytest.mark.parametrize("name", SHAPES)
def test_reading_takes_a_bounded_multiple_of_the_message_in_memory(name: str) -> None:
    read, make, _ = SHAPES[name]
    raw = make(131_072)
    tracemalloc.start()
    try:
        read(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 150 * len(raw)
