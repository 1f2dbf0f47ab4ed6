"""The `iso8583` probe: what it sends, what it refuses to send, and what it makes of an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs.extras import MissingExtraError
from outrider.codecs.iso8583 import Layout, Message, decode, encode
from outrider.codecs.iso8583_framing import Framing
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.core.outcome import Expected, Finding, Observation, OutcomeClass, classify
from outrider.generators import in_form
from outrider.probes import Prepared, Target
from outrider.probes.table import PROBES
from outrider.transport import StreamReply, StreamRequest

C = OutcomeClass
PROBE = PROBES["iso8583"]
TARGET = Target("switch", "tcp://switch.test:8583")
LAYOUT, FRAMING = Layout(), Framing()
CARD = "4242424242424242"
DRAWN = {"stan": "000777", "now:MMDDhhmmss": "1123235959"}
FIELDS: Mapping[str, Any] = {
    "pan": CARD,
    "processing_code": "000000",
    "amount": 100,
    "stan": "000042",
    "rrn": "261123000042",
    "terminal": "TERM1",
    "currency": "840",
}
AUTHORIZE: dict[str, Any] = {"message": "authorization", "fields": FIELDS}
REVERSE: dict[str, Any] = {
    "message": "reversal",
    "original": {"stan": "000042", "time": "1123235959"},
    "fields": {"amount": 100, "currency": "840"},
}


def prepared(request: Mapping[str, Any], target: Target = TARGET) -> Prepared[StreamRequest]:
    PROBE.check(request)
    made: Prepared[StreamRequest] = PROBE.prepare(request, target, DRAWN.__getitem__)
    return made


def sent(request: Mapping[str, Any], layout: Layout = LAYOUT, framing: Framing = FRAMING) -> Message:
    (turn,) = prepared(request).request.turns
    assert framing.ends(bytearray(turn.send)) == len(turn.send)
    return decode(framing.unwrap(turn.send), layout)


def answered(mti: str = "0110", request: Mapping[str, Any] = AUTHORIZE, **changes: str | None) -> Observation:
    """What the probe reads from an answer that brings back what was sent, but for the changes (`de39="05"`)."""
    ready = prepared(request)
    brought = decode(Framing().unwrap(ready.request.turns[0].send), Layout()).fields
    fields = {number: brought[number] for number in (2, 3, 4, 7, 11, 37, 41, 49) if number in brought} | {39: "00"}
    for name, value in changes.items():
        fields.pop(int(name[2:]), None)
        if value is not None:
            fields[int(name[2:])] = value
    raw = encode(Message(mti, fields), Layout())
    seen: Observation = PROBE.read(ready, StreamReply((Framing().wrap(raw),)))
    return seen


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_an_authorization_carries_its_fields_and_draws_what_is_not_given() -> None:
    assert sent(AUTHORIZE) == Message(
        "0100",
        {
            2: CARD, 3: "000000", 4: "000000000100", 7: "1123235959", 11: "000042", 37: "261123000042", 41: "TERM1   ",
            49: "840",
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("request_keys", "expected"),
    [
        ({"message": "echo"}, Message("0800", {7: "1123235959", 11: "000777", 70: "301"})),
        (
            {"message": "echo", "fields": {"network_code": "001"}},
            Message("0800", {7: "1123235959", 11: "000777", 70: "001"}),
        ),
        ({"mti": "0801"}, Message("0801", {7: "1123235959", 11: "000777"})),
        (
            {"message": "echo", "spec": {"version": 1993}},
            Message("1804", {7: "1123235959", 11: "000777", 24: "831"}),
        ),
        (
            REVERSE,
            Message(
                "0400",
                {
                    4: "000000000100", 7: "1123235959", 11: "000777", 49: "840",
                    90: "0100" "000042" "1123235959" "00000000000" "00000000000",
                },
            ),
        ),
        (
            REVERSE
            | {"message": "reversal_advice", "original": REVERSE["original"] | {"mti": "0200", "acquirer": "123"}},
            Message(
                "0420",
                {
                    4: "000000000100", 7: "1123235959", 11: "000777", 49: "840",
                    90: "0200" "000042" "1123235959" "00000000123" "00000000000",
                },
            ),
        ),
        (
            REVERSE
            | {"spec": {"version": 1993}, "original": {"stan": "000042", "time": "261123235959", "acquirer": "12345"}},
            Message(
                "1420",
                {
                    4: "000000000100", 7: "1123235959", 11: "000777", 49: "840",
                    56: "1100" "000042" "261123235959" "05" "12345",
                },
            ),
        ),
    ],
)  # fmt: skip
def test_each_kind_of_message_has_its_type_and_what_belongs_to_it(
    request_keys: dict[str, Any], expected: Message
) -> None:
    version = request_keys.get("spec", {}).get("version", 1987)
    assert sent(request_keys, Layout(version)) == expected


@pytest.mark.parametrize(
    ("framing", "agreed"),
    [
        ({}, Framing()),
        ({"prefix": "ascii-4"}, Framing("ascii-4")),
        ({"prefix": "ascii-4", "counts_itself": True}, Framing("ascii-4", True)),
        ({"header": "6000030000"}, Framing(header=b"\x60\x00\x03\x00\x00")),
    ],
)
@pytest.mark.parametrize("bitmap", ["hex", "binary"])
def test_length_header_and_bitmap_are_as_agreed(framing: dict[str, Any], agreed: Framing, bitmap: str) -> None:
    request = {"message": "echo", "framing": framing, "spec": {"bitmap": bitmap}}
    assert sent(request, Layout(1987, bitmap), agreed).mti == "0800"
    answer = agreed.wrap(encode(Message("0810", {7: "1123235959", 11: "000777", 39: "00"}), Layout(1987, bitmap)))
    seen = PROBE.read(prepared(request), StreamReply((answer,)))
    assert [finding.code for finding in seen.findings] == ["00"]


def test_the_target_says_where_to_go_and_whether_over_tls() -> None:
    request = prepared(AUTHORIZE, Target("switch", "tls://[::1]:8583", ca_file="ca.pem", verify_tls=False)).request
    assert (request.host, request.port, request.tls, request.ca_file, request.verify_tls) == (
        "::1", 8583, True, "ca.pem", False,
    )  # fmt: skip
    assert not prepared(AUTHORIZE).request.tls


# --- what does not load ---------------------------------------------------------------------------------------------


def with_fields(**fields: object) -> dict[str, object]:
    return {"message": "authorization", "fields": {**FIELDS, **fields}}


@pytest.mark.parametrize(
    ("request_keys", "told"),
    [
        ({}, "says either 'message' or 'mti'"),
        ({"message": "echo", "mti": "0800"}, "says either 'message' or 'mti'"),
        ({"message": "sale"}, "Invalid enum value 'sale'"),
        ({"message": "echo", "feilds": {}}, "unknown field `feilds`"),
        ({"mti": "0810"}, "not the type of a request"),
        ({"mti": "0500"}, "only authorizations, financial messages, reversals and network messages"),
        ({"mti": "1800"}, "1800 is no type of ISO 8583:1987 - at `$.mti`"),
        ({"message": "echo", "spec": {"version": 2003}}, "2003"),
        ({"message": "echo", "framing": {"header": "6"}}, "written in hex - at `$.framing.header`"),
        ({"message": "echo", "framing": {"header": "00" * 65}}, "at most 64 bytes"),
        (with_fields(track2="4242424242424242=3412"), "'track2' is no field"),
        (with_fields(de35="4242424242424242=3412"), "'de35' is never sent: no track, PIN"),
        (with_fields(de36="1"), "'de36' is never sent"),
        (with_fields(de45="B4242"), "'de45' is never sent"),
        (with_fields(de52="0011223344556677"), "'de52' is never sent"),
        (with_fields(de55="9F26"), "'de55' is never sent"),
        (with_fields(de64="0011223344556677"), "'de64' is never sent"),
        (with_fields(de128="0011223344556677"), "'de128' is never sent"),
        (with_fields(de4="000000000100"), "'de4' is written 'amount' - at `$.fields.de4`"),
        (with_fields(de02=CARD), "'de02' is written 'pan'"),
        (with_fields(de5="000000000100"), "'de5' is an amount; the only amount that is sent is field 4"),
        (with_fields(de54="0001840C000000000100"), "'de54' is an amount"),
        (with_fields(de90="0" * 42), "'de90' is made of the key 'original'"),
        (with_fields(original="0" * 42), "'original' is made of the key 'original'"),
        (with_fields(de65="0"), "'de65' is never sent"),
        (with_fields(de129="0"), "'de129' is no field"),
        (with_fields(de="0"), "'de' is no field"),
        (with_fields(stan="42"), "field 11 is 2 characters, not 6 digits - at `$.fields.stan`"),
        (with_fields(amount="1.00"), "field 4 is not 12 digits"),
        (with_fields(amount=-1), "field 4 is not 12 digits"),
        (with_fields(terminal="TOOLONG99"), "field 41 is 9 characters"),
        ({"message": "authorization", "fields": {"amount": 100}}, "an amount goes with its currency"),
        ({"message": "reversal", "fields": {}}, "a reversal says what it reverses"),
        (AUTHORIZE | {"original": {"stan": "000042", "time": "1123235959"}}, "a reversal says what it reverses"),
        (REVERSE | {"original": {"stan": "000042"}}, "missing required field `time`"),
    ],
)
def test_what_can_never_be_sent_does_not_load(request_keys: dict[str, object], told: str) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError)) as caught:
        PROBE.check(request_keys)
    assert told in str(caught.value)
    assert CARD not in str(caught.value)


def test_a_value_that_is_only_known_in_a_run_is_held_to_its_field_then() -> None:
    request = with_fields(stan="${number}", rrn="${rrn}")
    PROBE.check(request)
    with pytest.raises(ValueError, match="field 11: 2 characters, not 6 digits"):
        PROBE.prepare(with_fields(stan="42"), TARGET, DRAWN.__getitem__)
    with pytest.raises(ValueError, match="field 90"):
        PROBE.prepare(REVERSE | {"original": {"stan": "42", "time": "x"}}, TARGET, DRAWN.__getitem__)


def test_without_its_library_the_probe_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outrider.codecs.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'outrider\[iso8583\]'"):
        PROBE.prepare({"message": "echo"}, TARGET, DRAWN.__getitem__)


# --- what is read ---------------------------------------------------------------------------------------------------


def test_an_approval_is_ok_and_its_facts_hold_no_card_and_no_private_text() -> None:
    seen = answered(de38="A1B2C3", de44="4242 private", de48="private", de43="SOMEBODY" + " " * 32)
    assert classify((), seen, OUTCOME_TABLE).outcome is C.OK
    assert seen.facts == {
        "mti": ("0110",), "de3": ("000000",), "de4": ("000000000100",), "de7": ("1123235959",), "de11": ("000042",),
        "de37": ("261123000042",), "de38": ("A1B2C3",), "de39": ("00",), "de41": ("TERM1",), "de49": ("840",),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"mti": "0100"}, "echo/mti"),
        ({"mti": "0410"}, "echo/mti"),
        ({"de11": "000043"}, "echo/de11"),
        ({"de11": None}, "echo/de11"),
        ({"de7": "1123235958"}, "echo/de7"),
        ({"de37": "261123000043"}, "echo/de37"),
        ({"de41": "TERM2   "}, "echo/de41"),
        ({"de41": None}, "echo/de41"),
    ],
)
@pytest.mark.parametrize("code", ["00", "05"])
def test_an_answer_to_somebody_elses_question_is_malformed_whatever_it_says(
    changes: dict[str, Any], place: str, code: str
) -> None:
    seen = answered(**{"de39": code, **changes})
    outcome = classify([Expected("de39", ("00", "05"))], seen, OUTCOME_TABLE)
    assert (outcome.outcome, outcome.code, outcome.place) == (C.MALFORMED, "mismatch", place)
    assert not seen.facts


def test_an_answer_need_not_bring_back_what_was_not_sent() -> None:
    request = {"mti": "0100", "fields": {"stan": "000042"}}
    ready = PROBE.prepare(request, TARGET, DRAWN.__getitem__)
    fields = {7: "1123235959", 11: "000042", 37: "999999999999", 39: "00", 41: "OTHER   "}
    seen = PROBE.read(ready, StreamReply((Framing().wrap(encode(Message("0110", fields), Layout())),)))
    assert classify((), seen, OUTCOME_TABLE).outcome is C.OK


@pytest.mark.parametrize(
    ("code", "expected", "outcome", "place"),
    [
        ("51", None, C.BUSINESS_UNEXPECTED, "de39/1987"),
        ("51", "51", C.OK, ""),
        ("91", None, C.PARTNER_DOWN, "de39/1987"),
        ("91", "51", C.PARTNER_DOWN, "de39/1987"),
        ("96", None, C.SERVICE_DOWN, "de39/1987"),
        ("30", None, C.PROBE_FAULT, "de39/1987"),
        ("00", "51", C.BUSINESS_UNEXPECTED, "expect/de39"),
        ("10", "00", C.BUSINESS_UNEXPECTED, "expect/de39"),
        ("00", "00", C.OK, ""),
    ],
)
def test_field_39_decides_and_a_decline_can_be_expected(
    code: str, expected: str | None, outcome: C, place: str
) -> None:
    wanted = [] if expected is None else [Expected("de39", (expected,))]
    said = classify(wanted, answered(de39=code), OUTCOME_TABLE)
    assert (said.outcome, said.place) == (outcome, place)


def test_an_answer_without_field_39_is_malformed() -> None:
    said = classify((), answered(de39=None), OUTCOME_TABLE)
    assert (said.outcome, said.code, said.place) == (C.MALFORMED, "missing", "iso8583/de39")


def test_a_code_of_1993_is_read_as_such() -> None:
    request = {"message": "echo", "spec": {"version": 1993}}
    raw = encode(Message("1814", {7: "1123235959", 11: "000777", 39: "907"}), Layout(1993))
    seen = PROBE.read(prepared(request), StreamReply((Framing().wrap(raw),)))
    assert seen.findings == (Finding("907", "de39/1993", "the issuer or a switch is out of order"),)


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"0110", "iso8583/bitmap"),
        (b"<html>Welcome</html>", "iso8583/mti"),
        (b"0110" + b"0020000002000000" + b"0000420", "iso8583/de39"),
        (b"0110" + b"0020000002000000" + b"00004200left over", "iso8583/de39"),
    ],
)
def test_an_answer_that_is_cut_or_garbled_is_malformed_with_its_offset(raw: bytes, place: str) -> None:
    seen = PROBE.read(prepared(AUTHORIZE), StreamReply((b"\x00\x00" + raw,)))
    said = classify((), seen, OUTCOME_TABLE)
    assert (said.outcome, said.code, said.place) == (C.MALFORMED, "unreadable", place)
    assert re.search(r"at byte \d+:", said.detail)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=120), st.binary(max_size=80).map(lambda tail: b"\x00\x200110" + tail)))
def test_reading_never_raises_whatever_came(raw: bytes) -> None:
    seen = PROBE.read(prepared(AUTHORIZE), StreamReply((raw,)))
    assert classify((), seen, OUTCOME_TABLE).outcome is C.MALFORMED


# --- what people see ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bitmap", ["hex", "binary"])
def test_a_request_is_shown_field_by_field_and_in_hex_without_the_middle_of_the_card(bitmap: str) -> None:
    request = {"spec": {"bitmap": bitmap}, **with_fields(de48=f"again {CARD}!", de102=CARD)}
    lines = prepared(request).shown.splitlines()
    assert lines[0] == "0100 (ISO 8583:1987)"
    assert "    2 pan                    424242******4242" in lines
    assert "    4 amount                 000000000100" in lines
    assert "   11 stan                   000042" in lines
    assert "   48                        again 424242******4242!" in lines
    dumped = "".join(line.split()[1] + ":" for line in lines if re.match(r"  [0-9A-F]{4}  ", line))
    assert dumped.count(":".join(["34", "32"] * 3 + ["**"] * 6 + ["34", "32"] * 2)) == 3
    seen = "".join(chr(int(pair, 16)) if pair != "**" else "*" for pair in dumped.strip(":").split(":"))
    assert "4242424" not in seen.replace("424242******4242", "")
    frame = prepared(request).request.turns[0].send
    assert len(seen) == len(frame)


@pytest.mark.parametrize("pan", ["4222222222222", "378282246310005", "36227206271667", "6011"])
def test_no_more_than_the_ends_of_any_card_number_is_shown(pan: str) -> None:
    text = prepared(with_fields(pan=pan)).shown
    assert pan not in text
    middle = pan[6:-4] or pan
    assert ":".join(f"{ord(digit):02X}" for digit in pan) not in text
    assert f"{pan[:6]}{'*' * len(middle)}{pan[-4:]}" in text or f"pan                    {'*' * len(pan)}" in text


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("MMDDhhmmss", "0607080910"), ("YYMMDDhhmmss", "260607080910"), ("hhmmss", "080910"), ("MMDD", "0607"),
        ("YYYY-MM-DDThh:mm:ss", "2026-06-07T08:09:10"), ("YYMM", "2606"),
    ],
)  # fmt: skip
def test_a_moment_is_written_in_the_form_that_is_named(form: str, text: str) -> None:
    assert in_form(datetime(2026, 6, 7, 8, 9, 10, tzinfo=UTC), form) == text
