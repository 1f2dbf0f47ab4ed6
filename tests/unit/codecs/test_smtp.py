"""Replies of SMTP: where they end, and what they say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs.framing import FramingError
from outrider.codecs.smtp import MOST_BYTES, MOST_LINES, check_client, ends, read_reply

EHLO = b"250-mail.example greets you\r\n250-SIZE 10485760\r\n250-\r\n250-auth PLAIN LOGIN\r\n250 STARTTLS\r\n"


@pytest.mark.parametrize(
    ("raw", "code", "lines"),
    [
        (b"220 mail.example ESMTP\r\n", 220, ("mail.example ESMTP",)),
        (b"220\r\n", 220, ("",)),
        (b"220 \r\n", 220, ("",)),
        (b"220 bare line feed\n", 220, ("bare line feed",)),
        (b"554-no\r\n554 service here\r\n", 554, ("no", "service here")),
        (b"220 \xc3\xa9\xff\r\n", 220, ("é\ufffd",)),
        (EHLO, 250, ("mail.example greets you", "SIZE 10485760", "", "auth PLAIN LOGIN", "STARTTLS")),
    ],
)
def test_a_reply_ends_with_its_last_line_and_not_before(raw: bytes, code: int, lines: tuple[str, ...]) -> None:
    assert [ends(bytearray(raw[:length])) for length in range(1, len(raw))] == [None] * (len(raw) - 1)
    assert ends(bytearray(raw + b"250 next\r\n")) == len(raw)
    reply = read_reply(raw)
    assert (reply.code, reply.lines) == (code, lines)


def test_what_ehlo_offers_is_told_in_capitals_without_the_first_line() -> None:
    assert read_reply(EHLO).extensions == ("SIZE", "AUTH", "STARTTLS")
    assert read_reply(b"250 mail.example\r\n").extensions == ()


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.0 200 OK\r\n",
        b"SSH-2.0-x\r\n",
        b"SSH",
        b"\r\n",
        b"22",
        b"120 not ready\r\n",
        b"620 ",
        b"2200 too many digits\r\n",
        b"220-one\r\n250 another code\r\n",
        b"220-one\r\nno code\r\n",
        b"220 a\rb\r\n",
        b"\x16\x03\x03",
    ],
)
def test_what_is_no_reply_is_told_as_soon_as_it_shows(raw: bytes) -> None:
    if raw == b"22":  # may still become one
        assert ends(bytearray(raw)) is None
        return
    with pytest.raises(FramingError) as told:
        ends(bytearray(raw))
    assert told.value.code == "not-smtp"


@pytest.mark.parametrize("raw", [b"220 " + b"x" * MOST_BYTES, b"220-x\r\n" * MOST_LINES, b"220-x\r\n" * 5000])
def test_a_reply_without_end_is_too_long(raw: bytes) -> None:
    with pytest.raises(FramingError) as told:
        ends(bytearray(raw))
    assert told.value.code == "too-long"


@given(
    st.lists(st.sampled_from([b"220", b"250", b"-", b" ", b"\r\n", b"\n", b"\r", b"a", b"\xff", b"\0"]), max_size=30)
)
@settings(max_examples=200, deadline=None)
def test_whatever_comes_is_a_reply_a_part_of_one_or_none(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    try:
        end = ends(bytearray(raw)) if raw else None
    except FramingError:
        return
    if end is not None:
        assert 200 <= read_reply(raw[:end]).code < 600


@given(st.binary(max_size=100))
@settings(max_examples=200, deadline=None)
def test_no_bytes_raise_anything_but_a_framing_error(raw: bytes) -> None:
    for each in (raw, b"250-" + raw, b"250 " + raw):
        try:
            if each and (end := ends(bytearray(each))) is not None:
                read_reply(each[:end]).extensions  # noqa: B018
        except FramingError:
            pass


@pytest.mark.parametrize("name", ["localhost", "probe.example.com", "[192.0.2.1]", "[IPv6:2001:db8::1]"])
def test_a_client_calls_itself_by_a_host_or_an_address(name: str) -> None:
    check_client(name)


@pytest.mark.parametrize("name", ["", "a b", "a\r\nMAIL FROM:<x>", "a\n", "-a", "a_b", "[x]", "192.0.2.1]", "é"])
def test_a_client_cannot_smuggle_a_command_into_its_name(name: str) -> None:
    with pytest.raises(ValueError, match="neither the name of a host nor an address"):
        check_client(name)
