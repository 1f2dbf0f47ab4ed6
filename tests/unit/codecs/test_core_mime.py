from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from email.parser import BytesParser
from email.policy import HTTP

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs import core_mime
from outrider.codecs.core_mime import X12_270, X12_271, Envelope, EnvelopeError, read, write
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.core.outcome import Observation, OutcomeClass, classify

REQUEST = Envelope(
    X12_270,
    "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "2026-06-01T22:15:30Z",
    "OUTRIDER",
    "CLEARING",
    b"ISA*00*GS*ST*IEA~",
    username="probe",
    password="correct horse",
)
ANSWER = replace(REQUEST, payload_type=X12_271, username="", password="", error_code="Success", error_message="None")
REFUSAL = replace(
    ANSWER, payload_type="CoreEnvelopeError", payload=b"", error_code="PayloadTypeRequired", error_message="Missing"
)
BOUNDARY = "outrider-5f0c"


def written(envelope: Envelope = REQUEST) -> tuple[str, bytes]:
    return write(envelope, boundary=BOUNDARY)


def field_part(name: str, value: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode() + value + b"\r\n"


def changed(old: bytes, new: bytes, envelope: Envelope = REQUEST) -> tuple[str, bytes]:
    content_type, body = written(envelope)
    assert body.count(old) == 1, old
    return content_type, body.replace(old, new)


def without(name: str, envelope: Envelope = REQUEST) -> tuple[str, bytes]:
    _, body = written(envelope)
    start = body.index(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'.encode())
    end = body.index(f"--{BOUNDARY}".encode(), start + 5)
    return written(envelope)[0], body[:start] + body[end:]


def refusal(content_type: str, body: bytes) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as caught:
        read(content_type, body)
    return caught.value


def test_a_request_is_written_field_by_field() -> None:
    content_type, body = written()
    assert content_type == "multipart/form-data; boundary=outrider-5f0c"
    expected = [
        ("PayloadType", b"X12_270_Request_005010X279A1"),
        ("ProcessingMode", b"RealTime"),
        ("PayloadID", b"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
        ("TimeStamp", b"2026-06-01T22:15:30Z"),
        ("UserName", b"probe"),
        ("Password", b"correct horse"),
        ("SenderID", b"OUTRIDER"),
        ("ReceiverID", b"CLEARING"),
        ("CORERuleVersion", b"2.2.0"),
        ("Payload", b"ISA*00*GS*ST*IEA~"),
    ]
    assert body == b"".join(field_part(*pair) for pair in expected) + b"--outrider-5f0c--\r\n"


def test_an_answer_carries_its_error_code_and_no_credentials() -> None:
    _, body = written(ANSWER)
    assert field_part("ErrorCode", b"Success") in body
    assert field_part("ErrorMessage", b"None") in body
    assert b"UserName" not in body
    assert b"Password" not in body


@pytest.mark.parametrize("envelope", [REQUEST, ANSWER, REFUSAL], ids=["request", "answer", "refusal"])
def test_an_envelope_is_read_back_as_it_was_written(envelope: Envelope) -> None:
    assert read(*written(envelope)) == envelope


def test_only_an_error_code_other_than_success_is_an_error() -> None:
    assert [envelope.is_error for envelope in (REQUEST, ANSWER, REFUSAL)] == [False, False, True]


PAYLOADS = [
    b"ISA~GS~IEA~",
    b"ISA~\r\nGS~\r\nIEA~\r\n",
    b"ISA\x1dGS\x1dIEA\x1d",
    b"ISA\rGS\rIEA\r",
    b"ISA\nGS\nIEA\n",
    b"ISA\r\nGS\r\nIEA\r\n\r\n",
    b"\r\n\r\nISA",
    b"\n",
    b"--",
    b"--outrider",
    b"ISA\r\n--outrider-\r\n",
    b"ISA\x1c\x1e\x85\xa0\x0b\x0c\x00\xff",
    b"Content-Disposition: form-data; name=x\r\n\r\nISA",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_keeps_its_bytes(payload: bytes) -> None:
    assert read(*written(replace(REQUEST, payload=payload))).payload == payload


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(min_size=1), st.text("~\r\n\x1d-o", min_size=1).map(str.encode)))
def test_any_payload_keeps_its_bytes(payload: bytes) -> None:
    content_type, body = written(replace(REQUEST, payload=payload))
    assert read(content_type, body).payload == payload


@settings(max_examples=100, deadline=None)
@given(st.text("~\r\n\x1dISA*-", min_size=1).map(str.encode))
def test_the_standard_librarys_parser_reads_the_same_payload(payload: bytes) -> None:
    content_type, body = written(replace(REQUEST, payload=payload))
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
    assert parts["Payload"].get_payload(decode=True) == payload
    assert not message.defects


TEXT = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x2FFF, exclude_characters="\x7f"), min_size=1, max_size=50
)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXT, min_size=6, max_size=6), st.booleans())
def test_any_text_is_read_back_as_it_was_written(texts: list[str], with_error: bool) -> None:
    envelope = Envelope(
        texts[0],
        texts[1],
        "2026-06-01T22:15:30.123Z",
        texts[2],
        texts[3],
        b"ISA",
        username=texts[4],
        password=texts[5],
        error_code=texts[0] if with_error else "",
        error_message=texts[1] + "\r\n\t" + texts[2] if with_error else "",
    )
    assert read(*write(envelope, boundary="never-in-the-alphabet-above")) == envelope


ATTRIBUTES = {
    "PayloadType": "payload_type",
    "ProcessingMode": "processing_mode",
    "PayloadID": "payload_id",
    "TimeStamp": "timestamp",
    "SenderID": "sender_id",
    "ReceiverID": "receiver_id",
    "CORERuleVersion": "core_rule_version",
    "Payload": "payload",
}
REQUIRED = list(ATTRIBUTES)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_required_field_is_named(name: str) -> None:
    error = refusal(*without(name))
    assert (error.code, error.place, error.field) == ("missing", f"envelope/{name.lower()}", name)
    assert name in str(error)


@pytest.mark.parametrize("name", REQUIRED)
def test_an_empty_required_field_is_named_when_read_and_when_written(name: str) -> None:
    content_type, body = without(name)
    error = refusal(content_type, field_part(name, b"") + body)
    assert (error.code, error.field) == ("empty", name)
    with pytest.raises(EnvelopeError) as caught:
        written(replace(REQUEST, **{ATTRIBUTES[name]: b"" if name == "Payload" else ""}))  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.field) == ("empty", name)


@pytest.mark.parametrize("name", ["UserName", "Password", "ErrorCode", "ErrorMessage"])
def test_the_other_fields_may_be_left_out(name: str) -> None:
    envelope = ANSWER if name.startswith("Error") else REQUEST
    assert read(*without(name, envelope)).payload == REQUEST.payload


@pytest.mark.parametrize("name", [*REQUIRED, "UserName", "Password"])
def test_a_field_that_stands_there_twice_is_refused(name: str) -> None:
    content_type, body = written()
    error = refusal(content_type, field_part(name, b"RealTime") + body)
    assert (error.code, error.field) == ("twice", name)


def test_fields_that_real_time_does_not_use_are_passed_over() -> None:
    content_type, body = written()
    more = field_part("PayloadLength", b"17") + field_part("CheckSum", b"x") + field_part("Mood", b"fine") * 2
    assert read(content_type, more + body) == REQUEST


def test_what_stands_around_the_parts_is_nobodys() -> None:
    content_type, body = written()
    assert read(content_type, b"This is MIME.\r\n" + body + b"the end\r\n") == REQUEST


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="outrider-5f0c"',
        "Multipart/Form-Data; charset=utf-8; Boundary=outrider-5f0c",
    ],
)
def test_the_content_type_is_read_as_a_header(content_type: str) -> None:
    assert read(content_type, written()[1]) == REQUEST


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Disposition: form-data; name=Payload",
        b'content-disposition: form-data; name="Payload"; filename="a.270"\r\nContent-Type: application/EDI-X12',
        b'Content-Transfer-Encoding: Binary\r\nContent-Disposition: form-data;\r\n name="Payload"',
        b'Content-Type: multipart/mixed; boundary=x\r\nContent-Disposition: form-data; name="Payload"',
    ],
)
def test_a_part_may_have_other_headers(headers: bytes) -> None:
    content_type, body = changed(b'Content-Disposition: form-data; name="Payload"', headers)
    assert read(content_type, body) == REQUEST


PAYLOAD_HEAD = b'Content-Disposition: form-data; name="Payload"'
CLOSE = b"--outrider-5f0c--\r\n"
FORM = "multipart/form-data; boundary=outrider-5f0c"

BROKEN: dict[str, tuple[Callable[[], tuple[str, bytes]], str, str]] = {
    "a web page": (lambda: ("text/html", b"<html>"), "not-multipart", "content-type"),
    "no content type": (lambda: ("", written()[1]), "not-multipart", "content-type"),
    "another multipart": (lambda: ("multipart/mixed; boundary=x", written()[1]), "not-multipart", "content-type"),
    "a header with a line end": (lambda: (FORM + "\r\nX: y", written()[1]), "not-multipart", "content-type"),
    "a header beyond ASCII": (lambda: (FORM + "; x=é", written()[1]), "not-multipart", "content-type"),
    "an endless header": (lambda: (FORM + ";x=y" * 999, written()[1]), "not-multipart", "content-type"),
    "no boundary": (lambda: ("multipart/form-data", written()[1]), "boundary", "content-type"),
    "an empty boundary": (lambda: ('multipart/form-data; boundary=""', written()[1]), "boundary", "content-type"),
    "a boundary too long": (
        lambda: ("multipart/form-data; boundary=" + "x" * 71, written()[1]),
        "boundary",
        "content-type",
    ),
    "a boundary in an encoding": (
        lambda: ("multipart/form-data; boundary*=utf-8''outrider", written()[1]),
        "boundary",
        "content-type",
    ),
    "another boundary": (lambda: ("multipart/form-data; boundary=other", written()[1]), "boundary", "frame"),
    "an empty body": (lambda: (FORM, b""), "boundary", "frame"),
    "line ends of another kind": (lambda: (FORM, written()[1].replace(b"\r\n", b"\n")), "boundary", "frame"),
    "a boundary line that goes on": (lambda: changed(CLOSE, b"--outrider-5f0c-more\r\n"), "boundary", "frame"),
    "a closing line that goes on": (lambda: changed(CLOSE, b"--outrider-5f0c--more\r\n"), "boundary", "frame"),
    "no closing boundary": (lambda: changed(CLOSE, b""), "truncated", "frame"),
    "a part without headers": (lambda: changed(PAYLOAD_HEAD, b""), "part", "frame"),
    "a part without an empty line": (
        lambda: changed(PAYLOAD_HEAD + b"\r\n\r\n", PAYLOAD_HEAD + b" "),
        "part",
        "frame",
    ),
    "a part that is no form field": (
        lambda: changed(PAYLOAD_HEAD, b'Content-Disposition: attachment; name="Payload"'),
        "part",
        "frame",
    ),
    "a part without a name": (lambda: changed(PAYLOAD_HEAD, b"Content-Disposition: form-data"), "part", "frame"),
    "a part with two names": (lambda: changed(PAYLOAD_HEAD, PAYLOAD_HEAD + b"\r\n" + PAYLOAD_HEAD), "part", "frame"),
    "a name in an encoding": (
        lambda: changed(PAYLOAD_HEAD, b"Content-Disposition: form-data; name*=utf-8''Payload"),
        "part",
        "frame",
    ),
    "a transfer encoding": (
        lambda: changed(PAYLOAD_HEAD, PAYLOAD_HEAD + b"\r\nContent-Transfer-Encoding: base64"),
        "part",
        "frame",
    ),
    "headers without end": (
        lambda: changed(PAYLOAD_HEAD, PAYLOAD_HEAD + b"\r\nX: " + b"y" * 3000),
        "part",
        "frame",
    ),
    "headers that are none": (lambda: changed(PAYLOAD_HEAD, b"Hello\r\n" + PAYLOAD_HEAD), "part", "frame"),
    "a line among the headers that is none": (
        lambda: changed(PAYLOAD_HEAD, PAYLOAD_HEAD + b"\r\nHello"),
        "part",
        "frame",
    ),
    "an empty line before the headers": (lambda: changed(PAYLOAD_HEAD, b"\r\n" + PAYLOAD_HEAD), "part", "frame"),
    "headers beyond ASCII": (lambda: changed(PAYLOAD_HEAD, PAYLOAD_HEAD + b"\r\nX: \xff"), "part", "frame"),
    "a number that is too long": (
        lambda: changed(PAYLOAD_HEAD, PAYLOAD_HEAD + b"; name*" + b"9" * 5000 + b"*=x"),
        "part",
        "frame",
    ),
    "parts without end": (lambda: (FORM, field_part("Mood", b"") * 500 + CLOSE), "too-many-parts", "frame"),
    "text that is not UTF-8": (lambda: changed(b"OUTRIDER", b"\xff\xfe"), "illegal", "senderid"),
    "a control character": (lambda: changed(b"OUTRIDER", b"OUT\x1bRIDER"), "illegal", "senderid"),
    "a line end in an id": (lambda: changed(b"OUTRIDER", b"OUT\r\nRIDER"), "illegal", "senderid"),
    "text without end": (lambda: changed(b"OUTRIDER", b"O" * 1025), "illegal", "senderid"),
    "a time without a zone": (lambda: changed(b"22:15:30Z", b"22:15:30"), "illegal", "timestamp"),
    "batch": (lambda: changed(b"RealTime", b"Batch"), "illegal", "processingmode"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_envelope_is_refused_with_its_place(name: str) -> None:
    make, code, place = BROKEN[name]
    error = refusal(*make())
    assert (error.code, error.place) == (code, f"envelope/{place}")
    verdict = classify([], Observation.failed(error.code, error.place, str(error)), OUTCOME_TABLE)
    assert verdict.outcome is OutcomeClass.MALFORMED


@pytest.mark.parametrize("name", BROKEN)
def test_an_error_repeats_no_value_of_the_message(name: str) -> None:
    error = refusal(*BROKEN[name][0]())
    for value in ("correct horse", "OUTRIDER", "probe", "f81d4fae"):
        assert value not in str(error)


def test_every_truncation_is_noticed() -> None:
    content_type, body = written()
    whole = len(body) - len(b"\r\n")
    for length in range(whole):
        assert refusal(content_type, body[:length]).code in ("truncated", "boundary")
    assert read(content_type, body[:whole]) == REQUEST
    cut_in_payload = body.index(b"GS*")
    assert refusal(content_type, body[:cut_in_payload]).code == "truncated"


def test_an_envelope_that_reports_an_error_needs_no_payload() -> None:
    content_type, body = written(REFUSAL)
    assert b'name="Payload"' not in body
    assert read(content_type, body).error_code == "PayloadTypeRequired"


def test_an_envelope_that_reports_an_error_may_leave_fields_empty() -> None:
    assert read(*written(replace(REFUSAL, payload_id="", timestamp=""))).payload_id == ""


def test_the_cap_on_size_is_an_argument() -> None:
    content_type, body = written()
    assert read(content_type, body, max_bytes=len(body)) == REQUEST
    with pytest.raises(EnvelopeError) as caught:
        read(content_type, body, max_bytes=len(body) - 1)
    assert caught.value.code == "too-large"


@pytest.mark.parametrize("name", ["payload", "username", "error_message"])
def test_a_field_that_contains_the_boundary_is_refused(name: str) -> None:
    value = f"so {BOUNDARY} what"
    envelope = replace(REQUEST, **{name: value.encode() if name == "payload" else value})  # type: ignore[arg-type]
    with pytest.raises(EnvelopeError) as caught:
        written(envelope)
    assert caught.value.code == "boundary"


@pytest.mark.parametrize("boundary", ["", "x" * 71, "a b", 'a"b', "a\r\nb", "a;b"])
def test_a_boundary_that_needs_quoting_is_refused(boundary: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        write(REQUEST, boundary=boundary)
    assert caught.value.place == "envelope/frame"


@pytest.mark.parametrize("name", [f.name for f in fields(Envelope) if f.name not in ("payload", "error_message")])
def test_no_text_with_a_line_end_gets_into_an_envelope(name: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        replace(REQUEST, **{name: "a\r\nb"})  # type: ignore[arg-type]
    assert caught.value.code == "illegal"


def test_password_and_payload_are_never_printed() -> None:
    assert "correct horse" not in repr(REQUEST)
    assert "ISA" not in repr(REQUEST)


def test_hostile_nesting_and_repetition_are_bounded() -> None:
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(5000))
    content_type, body = changed(b"ISA*00*GS*ST*IEA~", nested)
    assert read(content_type, body).payload == nested
    assert refusal(FORM, b"\r\n--outrider-5f0c" * 60_000).code == "boundary"
    assert refusal(FORM, b"--outrider-5f0c\r\n\r\n" * 50_000).code == "too-many-parts"
    assert refusal(FORM, b"-" * core_mime.MAX_BYTES).code == "boundary"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.binary(max_size=200))
def test_reading_anything_raises_nothing_but_the_typed_error(content_type: str, body: bytes) -> None:
    refusal(content_type, body)
    refusal(FORM, f"--{BOUNDARY}\r\n".encode() + body + b"\r\n" + CLOSE)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.binary(max_size=60))
def test_reading_odd_headers_raises_nothing_but_the_typed_error(parameters: str, head: bytes) -> None:
    refusal("multipart/form-data; " + parameters, written()[1][:-40])
    refusal(FORM, f"--{BOUNDARY}\r\nContent-Disposition: form-data; name".encode() + head + b"\r\n\r\nx\r\n" + CLOSE)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_reading_a_damaged_envelope_raises_nothing_but_the_typed_error(data: st.DataObject) -> None:
    content_type, body = written()
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(damaged)))
        damaged[start : start + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=4))
    told = ""
    try:
        read(content_type, bytes(damaged))
    except EnvelopeError as error:
        told = str(error)
    assert "correct horse" not in told
