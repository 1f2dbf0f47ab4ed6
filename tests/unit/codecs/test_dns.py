"""Questions and answers of DNS."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line_support import dns_answer

from outrider.codecs.dns import DnsError, absolute, ends, framed, is_answer, question, read_answer
from outrider.codecs.framing import FramingError

ASKED = question("Host.Example", "A", 0x1234)
RECORD = "host.example. 60 IN A 192.0.2.1"
GOOD = dns_answer(ASKED, records=[RECORD])


def test_a_question_is_written_as_the_standard_has_it() -> None:
    # RFC 1035, 4.1: id, RD (and AD, RFC 6840), one question, one additional record: EDNS with 1,232 bytes.
    head = bytes.fromhex("1234 0120 0001 0000 0000 0001")
    asked = b"\x04Host\x07Example\x00" + bytes.fromhex("0001 0001")
    assert head + asked + bytes.fromhex("00 0029 04d0 00000000 0000") == ASKED
    assert question("host.example", "A", 0, recursion=False)[2:4] == b"\x00\x20"
    assert question(".", "NS", 1)[12:17] == bytes.fromhex("00 0002 0001")


@pytest.mark.parametrize(
    ("name", "kind", "asked"),
    [
        ("host.example", "A", "host.example."),
        ("host.example.", "A", "host.example."),
        ("_sip._udp.example", "SRV", "_sip._udp.example."),
        ("xn--bcher-kva.example", "A", "xn--bcher-kva.example."),
        (".", "NS", "."),
        ("192.0.2.1", "PTR", "1.2.0.192.in-addr.arpa."),
        ("1.2.0.192.in-addr.arpa", "PTR", "1.2.0.192.in-addr.arpa."),
        ("2001:db8::1", "PTR", "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa."),
        ("192.0.2.1", "A", "192.0.2.1."),
    ],
)
def test_a_name_is_asked_for_as_such(name: str, kind: str, asked: str) -> None:
    assert absolute(name, kind) == asked


@pytest.mark.parametrize(
    "name", ["", "a..b", ".a", "a b", "a\nb", "bücher.example", "x" * 64, "a." * 127 + "b", "-a", "a-.b", "a\\046b"]
)
def test_what_is_no_name_is_refused_with_it(name: str) -> None:
    with pytest.raises(ValueError, match="is not a name of DNS"):
        question(name, "A", 1)


def test_an_answer_is_known_by_its_id_and_its_question() -> None:
    assert is_answer(ASKED, GOOD)
    assert is_answer(ASKED, GOOD.replace(b"\x04Host", b"\x04hOST"))  # some servers do not keep the case
    assert is_answer(
        ASKED, ASKED[:2] + bytes.fromhex("8001 0000 0000 0000 0000")
    )  # FORMERR, from one that read nothing
    other = question("other.example", "A", 0x1234)
    for came in (
        b"",
        GOOD[:11],
        ASKED,  # a question is no answer
        b"\x12\x35" + GOOD[2:],
        dns_answer(other),
        dns_answer(question("Host.Example", "AAAA", 0x1234)),
        ASKED[:2] + bytes.fromhex("8000 0000 0000 0000 0000"),  # no error, and no question
        GOOD[:2] + bytes([GOOD[2] | 0x28]) + GOOD[3:],  # an update
        GOOD[:20],
    ):
        assert not is_answer(ASKED, came), came


def test_an_answer_is_read_with_its_aliases_its_least_ttl_and_its_flags() -> None:
    records = ["host.example. 300 IN CNAME b.example.", "b.example. 60 IN A 192.0.2.1", "b.example. 30 IN A 192.0.2.2"]
    found = read_answer(dns_answer(ASKED, records=records), "A")
    assert (found.rcode, found.values, found.ttl) == ("NOERROR", ("192.0.2.1", "192.0.2.2"), 30)
    assert [alias.lower() for alias in found.aliases] == ["b.example."]
    assert found.flags == ("rd",)
    assert read_answer(dns_answer(ASKED, records=records[:1]), "CNAME").values[0].lower() == "b.example."
    assert read_answer(dns_answer(ASKED, records=records[:1]), "CNAME").aliases == ()


def test_a_text_comes_in_one_piece_and_what_is_no_utf_8_is_replaced() -> None:
    asked = question("host.example", "TXT", 1)
    found = read_answer(dns_answer(asked, records=['host.example. 60 IN TXT "v=spf1 " "-all" "\\255"']), "TXT")
    assert found.values == ("v=spf1 -all\ufffd",)


@pytest.mark.parametrize("rcode", ["SERVFAIL", "NXDOMAIN", "REFUSED", "BADVERS"])
def test_an_rcode_is_told_by_its_name_also_the_extended_ones(rcode: str) -> None:
    assert read_answer(dns_answer(ASKED, rcode), "A").rcode == rcode


def test_an_answer_of_thousands_of_records_is_not_read() -> None:
    with pytest.raises(DnsError, match="more than 1000 records"):
        read_answer(GOOD[:6] + b"\x03\xe8" + GOOD[8:10] + b"\0\1" + GOOD[12:], "A")
    records = [f"host.example. 60 IN A 192.0.2.{number}" for number in range(200)]
    assert len(read_answer(dns_answer(ASKED, records=records), "A").values) == 100


def test_a_name_that_points_at_itself_is_an_error_and_no_loop() -> None:
    looped = GOOD[:-16] + b"\xc0" + bytes([len(GOOD) - 16]) + GOOD[-14:]
    with pytest.raises(DnsError, match="cannot be read"):
        read_answer(looped, "A")


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_bytes_raise_anything_but_a_dns_error(raw: bytes) -> None:
    is_answer(ASKED, raw)
    is_answer(ASKED, ASKED[:2] + b"\x80" + raw)
    for each in (raw, ASKED[:2] + b"\x81\x80" + raw):
        with contextlib.suppress(DnsError):
            read_answer(each, "A")


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_no_damage_to_an_answer_raises_anything_but_a_dns_error(place: int, damage: bytes) -> None:
    damaged = GOOD[:place] + damage + GOOD[place + len(damage) :]
    is_answer(ASKED, damaged)
    try:
        found = read_answer(damaged, "A")
    except DnsError:
        return
    assert all(len(value) <= 1000 for value in found.values)


def test_a_message_on_tcp_ends_where_its_length_says() -> None:
    whole = framed(GOOD)
    assert [ends(bytearray(whole[:length])) for length in range(len(whole))] == [None] * len(whole)
    assert ends(bytearray(whole + b"more")) == len(whole)
    with pytest.raises(FramingError, match="shorter than its header"):
        ends(bytearray(b"\x00\x0b"))
