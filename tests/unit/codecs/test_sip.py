"""Messages of SIP: read, written, and where they end."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs.framing import FramingError
from outrider.codecs.sip import (
    MOST_BODY,
    MOST_HEAD,
    MOST_PROVISIONAL,
    SipError,
    check_uri,
    ends,
    ends_final,
    read_message,
    split,
    write_message,
)

OK = (
    b"SIP/2.0 200 OK\r\n"
    b"v: SIP/2.0/UDP host.invalid;branch=z9hG4bK1;received=192.0.2.1, SIP/2.0/UDP second;branch=other\r\n"
    b"f: <sip:a@b>;tag=1\r\nt: <sip:c@d>;tag=2\r\ni: call-1\r\nCSeq: 1 OPTIONS\r\n"
    b"Allow: INVITE, ACK,\r\n  OPTIONS\r\nALLOW: BYE\r\nServer : test\r\nl: 4\r\n\r\nbody"
)
TRYING = b"SIP/2.0 100 Trying\r\nContent-Length: 0\r\n\r\n"


def test_a_response_is_read_with_short_folded_and_repeated_headers() -> None:
    message = read_message(OK + b"more")
    assert (message.status, message.reason, message.method, message.body) == (200, "OK", "", b"body")
    assert message.header("call-id") == "call-1"
    assert message.header("server") == "test"
    assert message.header("nothing") == ""
    assert message.listed("allow") == ("INVITE", "ACK", "OPTIONS", "BYE")
    assert message.branch == "z9hG4bK1"


def test_a_request_is_read_too() -> None:
    message = read_message(b"\r\n\r\nOPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x\r\n\r\n")
    assert (message.status, message.method, message.uri, message.branch) == (0, "OPTIONS", "sip:a@b", "")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"SIP/2.0 200 OK\r\n",
        b"SIP/2.0 200 OK\n\n",
        b"SIP/2.0 99 Low\r\n\r\n",
        b"SIP/2.0 700 High\r\n\r\n",
        b"SIP/3.0 200 OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"OPTIONS sip:a b SIP/2.0\r\n\r\n",
        b"SIP/2.0 200 OK\r\nno header\r\n\r\n",
        b"SIP/2.0 200 OK\r\nbad name: x\r\n\r\n",
        b"SIP/2.0 200 OK\r\nX: \xff\r\n\r\n",
        b"SIP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nbody",
        b"SIP/2.0 200 OK\r\nContent-Length: -1\r\n\r\nbody",
        b"SIP/2.0 200 OK\r\n" + b"X: y\r\n" * 201 + b"\r\n",
        b"SIP/2.0 200 OK\r\nX: " + b"y" * MOST_HEAD + b"\r\n\r\n",
    ],
)
def test_what_is_no_message_is_told_as_such(raw: bytes) -> None:
    with pytest.raises(SipError):
        read_message(raw)


def test_a_message_on_tcp_ends_after_its_body_and_not_before() -> None:
    assert [ends(bytearray(OK[:length])) for length in range(len(OK))] == [None] * len(OK)
    assert ends(bytearray(OK + TRYING)) == len(OK)
    assert ends(bytearray(b"\r\n\r\n" + OK)) == 4 + len(OK)
    assert ends(bytearray(b"\r\n\r\n")) is None


def test_provisional_responses_come_before_the_final_one() -> None:
    whole = TRYING + b"\r\n" + TRYING + OK
    assert [ends_final(bytearray(whole[:length])) for length in range(len(whole))] == [None] * len(whole)
    assert ends_final(bytearray(whole + TRYING)) == len(whole)
    assert [read_message(each).status for each in split(whole)] == [100, 100, 200]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"SIP/2.0 200 OK\r\n\r\n", "no-length"),
        (b"SIP/2.0 200 OK\r\nContent-Length: many\r\n\r\n", "no-length"),
        (b"SIP/2.0 200 OK\r\nContent-Length: 1\r\nl: 2\r\n\r\n", "no-length"),
        (b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n", "no-length"),
        (b"SIP/2.0 200 OK\r\nl: 1" + b" " * 16_000 + b"1\r\n\r\n", "no-length"),
        (f"SIP/2.0 200 OK\r\nl: {MOST_BODY + 1}\r\n\r\n".encode(), "too-long"),
        (b"x" * MOST_HEAD, "too-long"),
        (b"\r\n" * MOST_HEAD, "too-long"),
    ],
)
def test_what_can_never_end_is_told_with_its_code(raw: bytes, code: str) -> None:
    with pytest.raises(FramingError) as told:
        ends(bytearray(raw))
    assert told.value.code == code


def test_provisional_responses_without_end_are_too_many() -> None:
    with pytest.raises(FramingError, match="no final response"):
        ends_final(bytearray(TRYING * (MOST_PROVISIONAL + 1)))
    assert ends_final(bytearray(TRYING * MOST_PROVISIONAL + OK)) == len(TRYING) * MOST_PROVISIONAL + len(OK)


def test_what_is_written_is_read_again() -> None:
    written = write_message("SIP/2.0 200 OK", [("Via", "SIP/2.0/UDP x;branch=z9"), ("Allow", "A, B")], b"body")
    assert ends(bytearray(written)) == len(written)
    message = read_message(written)
    assert (message.branch, message.listed("allow"), message.body) == ("z9", ("A", "B"), b"body")


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\0", "\x7f", "a\u2028b", "a\u0085b"])
def test_a_header_cannot_smuggle_another_one(value: str) -> None:
    for first, headers in (("OPTIONS x SIP/2.0", [("Via", value)]), (f"OPTIONS {value} SIP/2.0", [])):
        with pytest.raises(ValueError, match="cannot hold a line end"):
            write_message(first, headers)


@pytest.mark.parametrize(
    "uri", ["sip:a@b", "sips:a.b+c@[2001:db8::1]:5061;transport=tls", "sip:192.0.2.1", "sip:%61@b"]
)
def test_a_uri_of_sip_is_one(uri: str) -> None:
    check_uri(uri)


@pytest.mark.parametrize(
    "uri",
    ["", "a@b", "tel:+1", "sip:", "sip:a b", "sip:a\r\nX: y", "sip:<a>", 'sip:"a"', "SIP:a@b", "sip:" + "a" * 251],
)
def test_what_is_no_uri_is_refused_with_it(uri: str) -> None:
    with pytest.raises(ValueError, match="is not a SIP URI"):
        check_uri(uri)


PARTS = [b"SIP/2.0 200 OK", b"SIP/2.0 100 T", b"OPTIONS sip:a SIP/2.0", b"\r\n", b"\r\n\r\n", b"\n", b"l: 0", b"l: 3",
         b"Via: x;branch=1,y", b" folded", b"\xff", b"\0", b":", b"abc"]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=20) | st.binary(max_size=80).map(lambda raw: [raw]))
@settings(max_examples=200, deadline=None)
def test_whatever_comes_is_a_message_a_part_of_one_or_none(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    for find in (ends, ends_final):
        try:
            end = find(bytearray(raw))
        except FramingError:
            continue
        assert end is None or 0 < end <= len(raw)
        if end is not None:
            assert b"".join(split(raw[:end])) == raw[:end]
    try:
        message = read_message(raw)
    except SipError:
        return
    assert message.branch is not None
    assert (message.status > 0) is (message.method == "")


@given(st.integers(0, len(OK) - 1), st.binary(min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_no_damage_to_a_response_raises_anything_but_a_sip_error(place: int, damage: bytes) -> None:
    damaged = OK[:place] + damage + OK[place + len(damage) :]
    with contextlib.suppress(SipError):
        read_message(damaged)
