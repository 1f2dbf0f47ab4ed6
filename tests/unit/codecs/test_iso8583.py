"""ISO 8583: bytes, framing and the meaning of field 39."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs import iso8583_fields as numbers
from outrider.codecs.extras import MissingExtraError
from outrider.codecs.framing import FramingError
from outrider.codecs.iso8583 import (
    LONGEST,
    Iso8583Error,
    Layout,
    Message,
    decode,
    encode,
    response_type,
)
from outrider.codecs.iso8583_framing import Framing
from outrider.codecs.iso8583_responses import NOTHING_DONE, PLACE, RESPONSES, RULES
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.core.outcome import Finding, Observation, OutcomeClass, classify

C = OutcomeClass
LAYOUTS = [Layout(version, bitmap) for version in (1987, 1993) for bitmap in ("hex", "binary")]
ECHO = {7: "1123235959", 11: "000042", 70: "301"}
CARD = "4242424242424242"


# --- bytes and fields -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "layout", "raw"),
    [
        (Message("0800", ECHO), Layout(), b"0800822000000000000004000000000000001123235959000042301"),
        (
            Message("0800", ECHO),
            Layout(1987, "binary"),
            b"0800\x82\x20" + bytes(6) + b"\x04" + bytes(7) + b"1123235959000042301",
        ),
        (
            Message("0110", {2: CARD, 11: "000042", 39: "00"}),
            Layout(),
            b"0110402000000200000016" + CARD.encode() + b"00004200",
        ),
        (
            Message("0810", {11: "000042", 64: "00112233445566FF"}),
            Layout(),
            b"0810002000000000000100004200112233445566FF",
        ),
        (
            Message("0810", {11: "000042", 64: "00112233445566FF"}),
            Layout(1987, "binary"),
            b"0810\x00\x20\x00\x00\x00\x00\x00\x01000042\x00\x11\x22\x33\x44\x55\x66\xff",
        ),
        (
            Message("1814", {11: "000042", 12: "261123235959", 39: "800"}),
            Layout(1993),
            b"18140030000002000000000042261123235959800",
        ),
    ],
)
def test_a_message_is_written_and_read_byte_for_byte(message: Message, layout: Layout, raw: bytes) -> None:
    assert encode(message, layout) == raw
    assert decode(raw, layout) == message


HEAD = b"0100" + b"4000000000000000"
"""A message whose only field is 2."""


@pytest.mark.parametrize(
    ("raw", "field", "offset", "problem"),
    [
        (b"", "mti", 0, "not a message type"),
        (b"01", "mti", 0, "not a message type"),
        (b"0a00" + HEAD[4:], "mti", 0, "not a message type"),
        (b"0900" + HEAD[4:], "mti", 0, "not a message type"),
        (b"0190" + HEAD[4:], "mti", 0, "not a message type"),
        (b"2100" + HEAD[4:], "mti", 0, "not a message type"),
        (b"1100" + HEAD[4:], "mti", 0, "a type of ISO 8583:1993, not of 1987"),
        (b"<!doctype html><title>Welcome</title>", "mti", 0, "not a message type"),
        (b"0100", "bitmap", 4, "0 bytes, not 16"),
        (b"0100400000", "bitmap", 4, "6 bytes, not 16"),
        (b"0100" + b"40 0000000000000", "bitmap", 4, "not 16 hex digits"),
        (b"0100" + b"zz00000000000000", "bitmap", 4, "not 16 hex digits"),
        (b"0100" + b"0" * 16, "bitmap", 4, "at least one field"),
        (b"0100" + b"8" + b"0" * 31, "bitmap", 4, "at least one field"),
        (b"0100" + b"C000000000000000", "bitmap", 20, "0 bytes, not 16"),
        (b"0100" + b"C000000000000000" + b"8000000000000000", "bitmap", 20, "field 65, a third bitmap"),
        (HEAD, 2, 20, "0 bytes wide"),
        (HEAD + b"164242", 2, 22, "4 bytes, expecting 16"),
        (HEAD + b"-1", 2, 22, "expecting -1"),
        (HEAD + b" 44242", 2, 20, "not written in digits"),
        (HEAD + b"+212", 2, 20, "not written in digits"),
        (HEAD + b"20" + b"4" * 20, 2, 20, "larger than maximum 19"),
        (HEAD + b"044x42", 2, 22, "not up to 19 digits"),
        (HEAD + b"04424\xff", 2, 22, "invalid data"),
        (HEAD + b"044242" + b"0", 2, 26, "extra data after last field"),
        (b"0100" + b"0020000002000000" + b"0000420", 39, 26, "1 bytes, expecting 2"),
        (b"0100" + b"0020000002000000" + b"0000420\x00", 39, 26, "not 2 letters, digits and blanks"),
        (b"0100" + b"0" * LONGEST, "mti", 0, "longer than 9999 bytes"),
    ],
)
def test_what_is_no_message_is_told_with_its_field_and_offset(
    raw: bytes, field: int | str, offset: int, problem: str
) -> None:
    with pytest.raises(Iso8583Error) as caught:
        decode(raw, Layout())
    assert (caught.value.field, caught.value.offset) == (field, offset)
    assert problem in str(caught.value)
    assert f"at byte {offset}" in str(caught.value)


@pytest.mark.parametrize(
    ("mti", "fields", "problem"),
    [
        ("0900", ECHO, "the mti: not a message type"),
        ("1800", ECHO, "the mti: a type of ISO 8583:1993"),
        ("0800", {}, "the bitmap: a message has at least one field"),
        ("0800", {1: "0000000000000000"}, "field 1: no field"),
        ("0800", {65: "0"}, "field 65: no field"),
        ("0800", {129: "0"}, "field 129: no field"),
        ("0800", {11: "42"}, "field 11: 2 characters, not 6 digits"),
        ("0800", {11: "00004x"}, "field 11: not 6 digits"),
        ("0800", {11: "00004٢"}, "field 11: not 6 digits"),
        ("0800", {2: "4" * 20}, "field 2: 20 characters, not up to 19 digits"),
        ("0800", {37: "é" * 12}, "field 37: not 12 letters"),
        ("0800", {48: "x\n"}, "field 48: not up to 999 printable"),
        ("0800", {28: "100000000"}, "field 28: not 9 characters, C or D and digits"),
        ("0800", {64: "xy"}, "field 64: not 16 hex digits"),
        (
            "0800",
            dict.fromkeys(range(55, 64), "x" * 999) | {105: "x" * 999, 106: "x" * 999},
            "longer than 9999",
        ),
    ],
)
def test_what_cannot_be_written_is_refused(mti: str, fields: dict[int, str], problem: str) -> None:
    with pytest.raises(Iso8583Error) as caught:
        encode(Message(mti, fields), Layout())
    assert problem in str(caught.value)
    assert caught.value.offset is None


@pytest.mark.parametrize(
    ("raw", "layout"),
    [
        (HEAD + b"17" + CARD.encode() + b"x", Layout()),
        (HEAD + b"15" + CARD.encode(), Layout()),
        (HEAD + b"16" + CARD[:-1].encode() + b"\xff", Layout()),
    ],
)
def test_no_error_and_no_repr_repeats_a_card_number(raw: bytes, layout: Layout) -> None:
    with pytest.raises(Iso8583Error) as caught:
        decode(raw, layout)
    assert "42424" not in repr(caught.value) + str(caught.value) + repr(caught.value.__cause__)
    assert "42424" not in repr(Message("0100", {2: CARD}))
    with pytest.raises(Iso8583Error) as refused:
        encode(Message("0100", {2: CARD + "x"}), Layout())
    assert "42424" not in str(refused.value)


@pytest.mark.parametrize("layout", [Layout(), Layout(1993)])
@settings(max_examples=150, deadline=None)
@given(raw=st.one_of(
    st.binary(max_size=200),
    st.text("0123456789ABCDEF -+", max_size=200).map(str.encode),
    st.binary(max_size=120).map(lambda tail: b"0110" + tail),
    st.text("0123456789ABCDEF", min_size=16, max_size=300).map(lambda tail: b"1110" + tail.encode()),
))  # fmt: skip
def test_any_bytes_are_a_message_or_a_typed_error(layout: Layout, raw: bytes) -> None:
    for each in (layout, Layout(layout.version, "binary")):
        try:
            read = decode(raw, each)
        except Iso8583Error as error:
            offset = error.offset
        else:
            offset = 0
            assert decode(encode(read, each), each) == read
        assert offset is not None
        assert 0 <= offset <= len(raw)


@st.composite
def messages(draw: st.DrawFn) -> tuple[Message, Layout]:
    layout = draw(st.sampled_from(LAYOUTS))
    chosen = draw(st.sets(st.sampled_from(sorted(numbers.FORMS[layout.version])), min_size=1, max_size=12))
    alphabets = {"n": "0123456789", "an": "0Az ", "ans": " ~=A0", "b": "0123456789ABCDEF", "x+n": "0123456789"}
    fields = {}
    for number in sorted(chosen):
        form = numbers.FORMS[layout.version][number]
        length = form.characters if not form.length_digits else draw(st.integers(0, min(form.characters, 40) // 2)) * 2
        fixed = length - (form.kind == "x+n")
        text = draw(st.text(alphabets[form.kind], min_size=fixed, max_size=fixed))
        fields[number] = ("C" if form.kind == "x+n" else "") + text
    return Message("0110" if layout.version == 1987 else "1110", fields), layout


@settings(max_examples=200, deadline=None)
@given(messages(), st.data())
def test_what_is_written_is_read_again_and_a_cut_is_always_noticed(
    drawn: tuple[Message, Layout], data: st.DataObject
) -> None:
    message, layout = drawn
    raw = encode(message, layout)
    assert decode(raw, layout) == message
    cut = data.draw(st.integers(0, len(raw) - 1))
    for broken in (raw[:cut], raw + b"0"):
        with pytest.raises(Iso8583Error):
            decode(broken, layout)


@pytest.mark.parametrize(
    ("request_type", "answer"),
    [("0100", "0110"), ("0101", "0110"), ("0420", "0430"), ("0421", "0430"), ("0800", "0810"), ("1804", "1814")],
)
def test_an_answer_has_the_type_that_belongs_to_the_request(request_type: str, answer: str) -> None:
    assert response_type(request_type) == answer


@pytest.mark.parametrize("mti", ["0110", "0430", "0140", "01000", "", "x"])
def test_what_is_not_answered_has_no_type_of_answer(mti: str) -> None:
    with pytest.raises(Iso8583Error):
        response_type(mti)


def test_without_the_library_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outrider.codecs.extras.find_spec", lambda name: None)
    for call in (lambda: encode(Message("0800", ECHO), Layout()), lambda: decode(b"0800", Layout())):
        with pytest.raises(MissingExtraError, match=r"pip install 'outrider\[iso8583\]'"):
            call()


@pytest.mark.parametrize(("version", "bitmap"), [(1988, "hex"), (2003, "hex"), (1987, "ebcdic")])
def test_a_layout_is_valid_from_birth(version: int, bitmap: str) -> None:
    with pytest.raises(ValueError, match=str(version) if bitmap == "hex" else bitmap):
        Layout(version, bitmap)


# --- fields and their names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", numbers.VERSIONS)
def test_no_name_leads_to_a_secret_field_or_to_an_amount_beside_the_one(version: int) -> None:
    names = numbers.names_of(version)
    assert {35, 45, 52, 55, 64, 128} <= numbers.SECRET
    assert not numbers.SECRET.intersection(names.values())
    assert not numbers.AMOUNTS[version].intersection(names.values())
    assert names["amount"] == 4
    assert names["pan"] == 2
    assert "de4" not in names
    assert names["de48"] == 48
    assert not numbers.SHOWABLE & (numbers.SECRET | {2, 14, 43, 44, *range(46, 49), *range(54, 64)})


def test_every_field_there_is_has_a_form() -> None:
    for version in numbers.VERSIONS:
        assert set(numbers.FORMS[version]) == {*range(2, 129)} - {65}
        assert set(numbers.NAMES[version]) <= set(numbers.FORMS[version])


# --- framing --------------------------------------------------------------------------------------------------------

BODY = b"0810" + b"8" * 20


@pytest.mark.parametrize(
    ("framing", "frame"),
    [
        (Framing(), b"\x00\x18" + BODY),
        (Framing(counts_itself=True), b"\x00\x1a" + BODY),
        (Framing("ascii-4"), b"0024" + BODY),
        (Framing("ascii-4", counts_itself=True), b"0028" + BODY),
        (Framing(header=bytes.fromhex("6000030000")), b"\x00\x1d\x60\x00\x03\x00\x00" + BODY),
        (Framing("ascii-4", counts_itself=True, header=b"ISO0"), b"0032ISO0" + BODY),
    ],
)
def test_a_frame_is_a_length_perhaps_a_header_and_a_message(framing: Framing, frame: bytes) -> None:
    assert framing.wrap(BODY) == frame
    assert framing.unwrap(frame) == BODY
    for length in range(1, len(frame)):
        assert framing.ends(bytearray(frame[:length])) is None
    assert framing.ends(bytearray(frame)) == len(frame)
    assert framing.ends(bytearray(frame + b"\x00\x18next")) == len(frame)


@pytest.mark.parametrize(
    ("framing", "came"),
    [
        (Framing(), b"HTTP/1.0 200 OK\r\n"),
        (Framing(), b"<!doctype html>"),
        (Framing(), b"\x00\x00"),
        (Framing(), b"\x00\x0b"),
        (Framing(), b"\x27\x10"),  # 10,000
        (Framing(counts_itself=True), b"\x00\x0d"),
        (Framing(header=b"12345"), b"\x00\x10"),
        (Framing("ascii-4"), b"HTTP"),
        (Framing("ascii-4"), b" 024"),
        (Framing("ascii-4"), b"+024"),
        (Framing("ascii-4"), b"0000"),
    ],
)
def test_a_length_that_no_message_has_ends_the_reading_at_once(framing: Framing, came: bytes) -> None:
    with pytest.raises(FramingError) as caught:
        framing.ends(bytearray(came))
    assert caught.value.code == "bad-length"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64), st.sampled_from([Framing(), Framing("ascii-4", True), Framing(header=b"12345")]))
def test_any_bytes_have_an_end_or_none_yet_or_a_typed_error(came: bytes, framing: Framing) -> None:
    try:
        end = framing.ends(bytearray(came))
    except FramingError:
        return
    assert end is None or framing.message_at + 12 <= end <= len(came)


def test_a_framing_is_valid_from_birth_and_refuses_what_is_too_long() -> None:
    with pytest.raises(ValueError, match="binary-2 or ascii-4"):
        Framing("binary-4")
    with pytest.raises(ValueError, match="at most 64 bytes"):
        Framing(header=bytes(65))
    with pytest.raises(ValueError, match="the most is 9999"):
        Framing().wrap(bytes(10_000))


# --- field 39 -------------------------------------------------------------------------------------------------------

EXPECTED_1987 = {
    C.OK: "00 08 10 11 16 85",
    C.BUSINESS_UNEXPECTED: "01 02 04 05 07 14 15 17 18 21 23 25 31 32 33 34 35 36 37 38 39 41 42 43 44 51 52 53 54 55 "
    "56 57 59 60 61 62 65 66 67 75 76 77 78 79 80 81 82 83 84 86 87 88 89 93 97 98 99 N7 1A",
    C.PROBE_FAULT: "03 12 13 24 26 27 30 40 58 63 64 94 95",
    C.PARTNER_DOWN: "20 68 91",
    C.SERVICE_DOWN: "06 09 19 22 28 29 90 92 96",
    C.MALFORMED: "45 46 47 48 49 50 69 70 71 72 73 74",
}
EXPECTED_1993 = {
    C.OK: "000 001 002 003 004 005 006 007 400 800 900 901",
    C.BUSINESS_UNEXPECTED: "100 101 102 103 104 105 106 107 108 111 113 114 116 117 118 119 121 123 124 125 129 130 "
    "199 200 201 202 203 204 205 206 207 208 209 210 299 914 921 950",
    C.PROBE_FAULT: "109 110 112 115 120 122 126 127 128 902 904 905 913 916 917 919 922",
    C.PARTNER_DOWN: "907 910 911 912",
    C.SERVICE_DOWN: "903 906 908 909 918 920 923",
    C.MALFORMED: "008 099 300 401 500 801 915 999",
}
ROWS = [
    (version, code, expected)
    for version, table in ((1987, EXPECTED_1987), (1993, EXPECTED_1993))
    for expected, codes in table.items()
    for code in codes.split()
]


@pytest.mark.parametrize(("version", "code", "expected"), ROWS)
def test_each_code_of_field_39_means_what_the_standard_says(version: int, code: str, expected: C) -> None:
    finding = Finding(code, f"{PLACE}/{version}")
    assert classify((), Observation((finding,)), OUTCOME_TABLE).outcome is expected


def test_every_code_that_is_known_is_in_the_table_above() -> None:
    for version, known in RESPONSES.items():
        assert known.keys() <= {code for of, code, _ in ROWS if of == version}


def test_every_row_of_the_outcome_table_about_field_39_has_an_example_above() -> None:
    findings = [Finding(code, f"{PLACE}/{version}") for version, code, _ in ROWS] + [
        Finding("unreadable", "iso8583/mti")
    ]
    used = {next(rule for rule in RULES if rule.matches(finding)) for finding in findings}
    assert used == set(RULES)


def test_only_a_decline_or_a_refusal_says_that_nothing_was_done() -> None:
    doubtful = "00 10 85 06 09 19 20 22 32 68 90 91 92 94 96 97 N7 000 002 400 903 907 908 909 911 913 923"
    assert not NOTHING_DONE.intersection(doubtful.split())
    assert NOTHING_DONE.issuperset(("03", "05", "12", "13", "14", "30", "51", "54", "58", "63", "100", "116", "904"))
