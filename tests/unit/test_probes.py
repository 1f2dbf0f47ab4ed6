"""The probes: what they send, what they read, and what the shipped outcome table makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line_support import rows

from outrider import __version__
from outrider.codecs import claim_status, core_mime, core_soap, iso8583_responses, professional_claim
from outrider.codecs.core_envelope import X12_277CA
from outrider.codecs.core_mime import Envelope
from outrider.codecs.eligibility import Benefit, Inquiry, Rejection, read_inquiry, write_response
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.codecs.x12 import Draft, Line, write
from outrider.core.outcome import Expected, Finding, Observation, OutcomeClass, classify
from outrider.probes import Prepared, Target, join
from outrider.probes.table import PROBES
from outrider.transport import HttpReply, HttpRequest

C = OutcomeClass
HTTP, X12 = PROBES["http"], PROBES["x12"]
TARGET = Target("gateway", "https://gateway.test/api/", (("X-Site", "east"),), "ca.pem", False)
CREATED = datetime(2026, 6, 1, 22, 0, 0, tzinfo=UTC)
DRAWN = {
    "uuid": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "trace": "TRACE0001",
    "control_number": "42",
    "now": "2026-06-01T22:00:00Z",
    "today": "2026-06-01",
}

POST_JSON = {"method": "POST", "path": "/pay", "json": {"amount": 100}}
INQUIRY: Mapping[str, Any] = {
    "path": "/core",
    "sender": "OUTRIDER",
    "receiver": "CLEARING",
    "payer": {"name": "TEST PAYER", "id": "PAYER01"},
    "provider": {"name": "TEST CLINIC", "id": "1234567893"},
    "member": {
        "last": "QUILLFEATHER",
        "first": "OTTOLINE",
        "id": "W998877665",
        "birth_date": "19710203",
        "gender": "F",
    },
    "username": "probe",
    "password": "correct horse",
}


def prepared(request: Mapping[str, Any] = POST_JSON) -> Prepared:
    return HTTP.prepare(request, TARGET, DRAWN.__getitem__)


def inquiry(**changes: object) -> Prepared:
    return X12.prepare({**INQUIRY, **changes}, TARGET, DRAWN.__getitem__)


def reply(body: object = None, status: int = 200, content_type: str = "application/json") -> HttpReply:
    content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
    return HttpReply(status, (("Content-Type", content_type),), content)


def seen(answer: HttpReply, request: Mapping[str, Any] = POST_JSON) -> Observation:
    return HTTP.read(prepared(request), answer)


# --- http: what is sent ------------------------------------------------------------------------------------------


def test_a_request_carries_its_own_headers_the_targets_and_the_mark_of_test_traffic() -> None:
    request = {**POST_JSON, "headers": {"Idempotency-Key": "k-1"}}
    assert prepared(request).request == HttpRequest(
        "POST",
        "https://gateway.test/api/pay",
        (
            ("User-Agent", f"outrider/{__version__} (synthetic transaction)"),
            ("Accept", "*/*"),
            ("X-Site", "east"),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", "k-1"),
        ),
        b'{"amount":100}',
        "ca.pem",
        False,
    )


@pytest.mark.parametrize(
    ("request_keys", "body", "content_type"),
    [
        ({}, b"", None),
        ({"body": "a=1&b=é"}, b"a=1&b=\xc3\xa9", None),
        ({"body": ""}, b"", None),
        ({"json": []}, b"[]", "application/json"),
        ({"json": {}, "headers": {"Content-Type": "application/vnd.api+json"}}, b"{}", "application/vnd.api+json"),
    ],
)
def test_a_body_is_text_or_json_and_says_which(
    request_keys: dict[str, Any], body: bytes, content_type: str | None
) -> None:
    sent = prepared({"path": "/", **request_keys}).request
    assert (sent.body, dict(sent.headers).get("Content-Type")) == (body, content_type)


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://a.test", "/b", "https://a.test/b"),
        ("https://a.test/", "/b", "https://a.test/b"),
        ("https://a.test/v1/", "b?c=d", "https://a.test/v1/b?c=d"),
        ("https://a.test", "", "https://a.test/"),
    ],
)
def test_a_path_is_put_behind_the_targets_address(base: str, path: str, url: str) -> None:
    assert join(Target("a", base), path) == url


def test_a_header_is_sent_once_whichever_way_its_name_is_written() -> None:
    target = replace(TARGET, headers=(("user-agent", "target"), ("X-Site", "east")))
    request = {**POST_JSON, "headers": {"x-site": "west", "content-type": "application/vnd.api+json"}}
    assert HTTP.prepare(request, target, DRAWN.__getitem__).request.headers == (
        ("user-agent", "target"),
        ("Accept", "*/*"),
        ("x-site", "west"),
        ("content-type", "application/vnd.api+json"),
    )
    sent = X12.prepare(INQUIRY, target, DRAWN.__getitem__).request.headers
    assert [name for name, _ in sent] == ["user-agent", "Content-Type", "X-Site"]


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"X": "a\r\nB: c"}, "header X holds a line end or another character that no header can"),
        ({"X": "a\nb"}, "header X holds a line end or another character that no header can"),
        ({"X": "a\x00"}, "header X holds a line end or another character that no header can"),
        ({"X": "\ud800"}, "header X holds a line end or another character that no header can"),
        ({"X Y": "a"}, "'X Y' is not the name of a header"),
        ({"": "a"}, "'' is not the name of a header"),
        ({"X:": "a"}, "'X:' is not the name of a header"),
    ],
)
def test_a_header_that_http_cannot_carry_is_refused_without_its_value(headers: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError) as refused:
        prepared({"path": "/", "headers": headers})
    assert str(refused.value) == message


def test_neither_headers_nor_body_of_a_request_are_in_its_repr() -> None:
    shown = repr(prepared({"path": "/", "headers": {"Authorization": "hush"}, "body": "hush"}))
    assert "hush" not in shown
    assert "hush" not in repr(reply(b"hush"))
    assert "hush" not in repr(replace(TARGET, headers=(("Authorization", "hush"),)))


@pytest.mark.parametrize(
    ("request_keys", "message"),
    [
        ({"path": "/", "body": "x", "json": {}}, "a request has one of body, json and form, not several"),
        ({"path": "/", "method": "get"}, "'get' is not an HTTP method; write it like GET or POST"),
        ({"path": "/", "method": "GE T"}, "'GE T' is not an HTTP method; write it like GET or POST"),
        ({"path": "/", "method": ""}, "'' is not an HTTP method; write it like GET or POST"),
        ({}, "Object missing required field `path`"),
        ({"pth": "/"}, "Object contains unknown field `pth`"),
        ({"path": 1}, "Expected `str`, got `int` - at `$.path`"),
        ({"path": "/", "headers": {"X": 1}}, "Expected `str`, got `int` - at `$.headers[...]`"),
    ],
)
def test_an_http_request_that_can_never_be_sent_is_refused_when_it_is_read(
    request_keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError) as refused:
        HTTP.check(request_keys)
    assert str(refused.value) == message


# --- http: what is read ------------------------------------------------------------------------------------------


def test_the_facts_of_an_answer_are_its_status_headers_and_every_scalar_of_its_json() -> None:
    answer = HttpReply(
        201,
        (("Content-Type", "application/json; charset=utf-8"), ("X-A", "1"), ("x-a", "2")),
        b'{"id":"P-1","card":{"last4":"4242","ok":true},"items":[{"n":1},{"n":2.5}],"none":null,"empty":[],"e":"\\u00e9"}',
    )
    assert seen(answer) == Observation(
        (),
        {
            "status": ("201",),
            "header.content-type": ("application/json; charset=utf-8",),
            "header.x-a": ("1", "2"),
            "json.id": ("P-1",),
            "json.card.last4": ("4242",),
            "json.card.ok": ("true",),
            "json.items.0.n": ("1",),
            "json.items.1.n": ("2.5",),
            "json.none": ("null",),
            "json.e": ("é",),
        },
    )


@pytest.mark.parametrize("body", [b'"up"', b"3", b"true"])
def test_json_that_is_one_scalar_is_one_fact(body: bytes) -> None:
    assert seen(reply(body)).facts["json"] == (body.decode().strip('"'),)


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", "application/problem+json"])
def test_json_is_known_by_its_content_type_in_any_case(content_type: str) -> None:
    observed = seen(reply({"a": 1}, content_type=content_type))
    assert observed.findings == ()
    assert observed.facts["json.a"] == ("1",)


@pytest.mark.parametrize(
    ("body", "is_json"),
    [
        (b"", False),
        (b"{", False),
        (b"<html>", False),
        (b"\xff\xfe\x00", False),
        (b"[" * 100_000, False),
        (b"1" * 5_000, False),  # more digits than Python converts
        (b"{}", True),
        (b"[]", True),
    ],
)
def test_a_body_that_only_says_that_it_is_json_is_malformed(body: bytes, is_json: bool) -> None:
    expected = () if is_json else (Finding("not-json", "body/json", "the body says that it is JSON, and is not"),)
    assert seen(reply(body)).findings == expected


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ({"error": {"code": "a", "decline_code": "b", "reason": "c", "message": "d"}}, ["a", "b", "c"]),
        ({"errorCode": 41, "refusalReason": "Refused", "id": "x"}, ["41", "Refused"]),
        ({"responses": [{"code": "one"}, {"code": "two"}]}, ["one", "two"]),
        ({"code": "4111111111111111"}, []),
        ({"code": "4111-1111-1111-1111", "reason": "acct0001234"}, []),
        ({"4111111111111111": {"code": "x"}, "a b": {"code": "x"}}, []),
        ({"code": "two words", "reason": "", "a/code": "x", "codes": "x", "code_of": "x"}, []),
        ({"code": {"inner": "x"}, "reason": None}, ["null"]),
        ([{"code": f"c{number % 10}"} for number in range(50)], [f"c{number % 10}" for number in range(20)]),
    ],
)
@pytest.mark.parametrize("status", [400, 402, 404, 409, 422])
def test_the_codes_of_a_refusal_come_before_its_status(body: object, codes: list[str], status: int) -> None:
    *found, last = seen(reply(body, status)).findings
    assert [finding.code for finding in found] == codes
    assert all(finding.place.startswith("json") for finding in found)
    assert (last.code, last.place) == (str(status), "status")
    for other in (200, 401, 403, 408, 429, 500):
        assert {finding.place for finding in seen(reply(body, other)).findings} <= {"status"}


def test_an_answer_to_json_that_is_not_json_is_malformed_unless_it_has_no_content_by_its_status() -> None:
    page = HttpReply(200, (("Content-Type", "text/html"),), b"<h1>Welcome</h1>")
    assert seen(page).findings == (Finding("not-json", "body/type", "expected JSON, got text/html"),)
    assert seen(HttpReply(200)).findings == (Finding("not-json", "body/type", "expected JSON, got no content type"),)
    assert seen(HttpReply(204)).findings == ()
    assert seen(replace(page, status=503)).findings == (Finding("503", "status", "HTTP status 503"),)
    assert seen(page, {"path": "/page"}).findings == ()


def test_json_is_read_whatever_the_answer_calls_it() -> None:
    """A gateway that plays back an answer under its idempotency key may forget its type; the id in it is needed."""
    replayed = HttpReply(200, (("Content-Type", "text/html; charset=utf-8"),), b' {"id":"ch_1","refunds":[]}')
    form = {"path": "/v1/charges", "method": "POST", "form": {"amount": 100}}
    assert seen(replayed, form).findings == ()
    assert seen(replayed, form).facts["json.id"] == ("ch_1",)
    assert seen(replace(replayed, headers=()), form).facts["json.id"] == ("ch_1",)
    assert seen(replayed).findings == (Finding("not-json", "body/type", "expected JSON, got text/html; charset=utf-8"),)
    assert seen(replayed).facts["json.id"] == ("ch_1",)


@pytest.mark.parametrize("body", [b"", b"1", b'"text"', b"{not json}", b"[" * 100_000, b"\xff{}", b"<p>{}</p>"])
def test_what_neither_says_that_it_is_json_nor_is_has_no_json_facts(body: bytes) -> None:
    read = seen(HttpReply(200, (("Content-Type", "text/plain"),), body), {"path": "/page"})
    assert (read.findings, set(read.facts)) == ((), {"status", "header.content-type"})


@pytest.mark.parametrize(
    ("contains", "missing"),
    [([], []), (["Welcome"], []), (["Welcome", "back"], ["back"]), (["welcome"], ["welcome"]), (["é"], [])],
)
def test_a_page_must_hold_every_text_that_is_asked_for(contains: list[str], missing: list[str]) -> None:
    page = HttpReply(200, (("Content-Type", "text/html"),), "<h1>Welcome é</h1>".encode())
    observed = seen(page, {"path": "/", "contains": contains})
    assert observed.findings == tuple(
        Finding("missing", "body/contains", f"the body does not contain {text!r}") for text in missing
    )


def test_the_first_five_hundred_facts_are_read_and_no_more() -> None:
    observed = seen(reply([[number] for number in range(2_000)]))
    names = [name for name in observed.facts if name.startswith("json")]
    assert names == [f"json.{number}.0" for number in range(500)]


def test_json_is_read_down_to_twenty_levels() -> None:
    def nested(levels: int) -> object:
        return {"a": nested(levels - 1)} if levels else 1

    assert "json" + ".a" * 20 in seen(reply(nested(20))).facts
    assert not any(name.startswith("json") for name in seen(reply(nested(21))).facts)


def test_a_long_key_above_many_values_is_left_out_and_costs_no_memory() -> None:
    # 400 kB of key above 200,000 values: 80 GB, if every value had its path at once.
    body = b'{"before":1,"' + b"k" * 400_000 + b'":[' + b"1," * 200_000 + b'1],"after":2}'
    facts = {name: value for name, value in seen(reply(body)).facts.items() if name.startswith("json")}
    assert facts == {"json.before": ("1",), "json.after": ("2",)}


@given(st.binary(max_size=60) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5),
       lambda each: st.lists(each, max_size=4) | st.dictionaries(st.text(max_size=5), each, max_size=4),
       max_leaves=20).map(lambda value: json.dumps(value).encode()), st.integers(100, 599))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_no_answer_makes_the_http_probe_fail(body: bytes, status: int) -> None:
    observed = seen(reply(body, status))
    assert observed.facts["status"] == (str(status),)
    assert ("status" in [finding.place for finding in observed.findings]) == (status not in range(200, 300))


# --- x12: what is sent -------------------------------------------------------------------------------------------


def asked(question: Prepared | None = None) -> tuple[Envelope, Inquiry]:
    """The envelope and the inquiry that went out."""
    request = (question or inquiry()).request
    envelope = core_mime.read(dict(request.headers)["Content-Type"], request.body)
    return envelope, read_inquiry(envelope.payload)


def test_an_inquiry_goes_out_in_an_envelope_with_everything_that_was_drawn() -> None:
    question = inquiry()
    envelope, sent = asked(question)
    assert question.request.method == "POST"
    assert question.request.url == "https://gateway.test/api/core"
    assert (question.request.ca_file, question.request.verify_tls) == ("ca.pem", False)
    assert dict(question.request.headers)["X-Site"] == "east"
    assert question.sent == {
        "transaction": "eligibility",
        "envelope": "core-mime",
        "trace": "TRACE0001",
        "control_number": "42",
        "payload_id": DRAWN["uuid"],
    }
    assert envelope.payload_type == "X12_270_Request_005010X279A1"
    assert (envelope.payload_id, envelope.timestamp) == (DRAWN["uuid"], DRAWN["now"])
    assert (envelope.sender_id, envelope.receiver_id) == ("OUTRIDER", "CLEARING")
    assert (envelope.username, envelope.password) == ("probe", "correct horse")
    assert (sent.trace, sent.control_number, sent.usage) == ("TRACE0001", 42, "T")
    assert (sent.payer_name, sent.payer_id) == ("TEST PAYER", "PAYER01")
    assert (sent.provider_name, sent.provider_npi) == ("TEST CLINIC", "1234567893")
    assert (sent.member.last, sent.member.member_id, sent.member.gender) == ("QUILLFEATHER", "W998877665", "F")
    assert (sent.service_types, sent.service_date, sent.created) == (("30",), "20260601", CREATED)


def test_an_inquiry_says_what_its_step_says() -> None:
    _, sent = asked(inquiry(service_types=["30", "35"], service_date="2026-05-02", usage="P"))
    assert (sent.service_types, sent.service_date, sent.usage) == (("30", "35"), "20260502", "P")


@pytest.mark.parametrize(
    "changes",
    [
        {"payer": {"name": "A*B", "id": "P"}},
        {"member": {"last": "X~Y", "first": "A", "id": "1", "birth_date": "19700101"}},
        {"member": {"last": "X", "first": "A", "id": "1", "birth_date": "1970-01-01"}},
        {"service_types": []},
        {"sender": "SIXTEEN CHARACTERS"},
    ],
)
def test_a_value_that_x12_cannot_write_is_refused_before_anything_is_sent(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        inquiry(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"usage": "Q"}, "Invalid enum value 'Q' - at `$.usage`"),
        ({"payer": {"name": "A", "idd": "P"}}, "Object contains unknown field `idd` - at `$.payer`"),
        ({"payer": None}, "Expected `object`, got `null` - at `$.payer`"),
        ({"npi": "1"}, "Object contains unknown field `npi`"),
    ],
)
def test_an_inquiry_that_can_never_be_sent_is_refused_when_it_is_read(changes: dict[str, Any], message: str) -> None:
    X12.check(INQUIRY)
    with pytest.raises(msgspec.ValidationError) as refused:
        X12.check({**INQUIRY, **changes})
    assert str(refused.value) == message


# --- x12: what is read -------------------------------------------------------------------------------------------


def answer(payload: bytes | None = None, **changes: Any) -> HttpReply:
    """The clearinghouse's answer: an envelope, by default around a 271 with active coverage."""
    fields: dict[str, Any] = {
        "payload_type": core_mime.X12_271,
        "payload_id": DRAWN["uuid"],
        "timestamp": "2026-06-01T22:00:01Z",
        "sender_id": "CLEARING",
        "receiver_id": "OUTRIDER",
        "payload": response() if payload is None else payload,
        "error_code": "Success",
        **changes,
    }
    content_type, body = core_mime.write(Envelope(**fields), boundary="answer-boundary")
    return reply(body, content_type=content_type)


def refusal(error_code: str) -> HttpReply:
    return answer(b"", error_code=error_code, payload_type="CoreEnvelopeError")


def response(*rejections: tuple[str, str], **more: Any) -> bytes:
    """A 271 to what was asked, with these rejections (reason, loop), or with active coverage."""
    benefits = () if rejections else (Benefit("1"), Benefit("B", amount="25"))
    return write_response(
        asked()[1],
        control_number=77,
        created=CREATED,
        benefits=benefits,
        rejections=[Rejection(code, loop) for code, loop in rejections],
        **more,
    )


def interchange(set_id: str, functional_id: str, version: str, *lines: Line) -> bytes:
    return write([Draft(set_id, lines)], sender="CLEARING", receiver="OUTRIDER", control_number=78, created=CREATED,
                 functional_id=functional_id, version=version)  # fmt: skip


def acknowledgement(verdict: str) -> bytes:
    return interchange(
        "999", "FA", "005010X231A1", ("AK1", "HS", "42", "005010X279A1"), ("AK2", "270", "0001", "005010X279A1"),
        ("IK5", verdict), ("AK9", verdict, "1", "1", "0" if verdict == "R" else "1"),
    )  # fmt: skip


def ta1(verdict: str, note: str = "006") -> bytes:
    """An interchange that holds nothing but a TA1."""
    whole = response().decode()
    head, tail = whole[: whole.index("GS*")], whole[whole.index("IEA*") :]
    return f"{head}TA1*000000042*260601*2200*{verdict}*{note}~{tail.replace('IEA*1', 'IEA*0')}".encode()


def claim_seen(category: str) -> Observation:
    claim = {"transaction": "claim_status", "claim": {"account": "ACCT-1"}}
    question = inquiry(**claim)
    sent = core_mime.read(dict(question.request.headers)["Content-Type"], question.request.body)
    payload = claim_status.write_response(
        claim_status.read_request(sent.payload),
        control_number=77,
        created=CREATED,
        statuses=(claim_status.ClaimStatus(category, "20"),),
    )
    return X12.read(question, answer(payload, payload_type=core_mime.X12_277))


def submission_seen(category: str, loop: str) -> Observation:
    """What the probe reads from the answer to a claim, with this status in this loop."""
    home = {"street": "1 A ST", "city": "B", "state": "NY", "zip": "100010001"}
    question = inquiry(
        transaction="claim",
        submitter={"name": "SYNTHETIC SERVICE", "id": "S1", "phone": "5555550100"},
        provider={**INQUIRY["provider"], "tax_id": "123456789", "address": home},
        member={**INQUIRY["member"], "address": home},
        claim={"diagnoses": ["R519"], "lines": [{"code": "99213", "charge": "75"}]},
    )
    sent = core_mime.read(dict(question.request.headers)["Content-Type"], question.request.body)
    payload = professional_claim.write_response(
        professional_claim.read_submission(sent.payload),
        control_number=77,
        created=CREATED,
        verdict=professional_claim.Verdict(category, "20", loop),
    )
    return X12.read(question, answer(payload, payload_type=X12_277CA))


def x12_seen(reply_: HttpReply) -> Observation:
    return X12.read(inquiry(), reply_)


def test_the_facts_of_a_271_are_its_codes_and_our_own_trace() -> None:
    assert x12_seen(answer()) == Observation(
        (),
        {
            "status": ("200",),
            "set": ("271",),
            "eb": ("1", "B"),
            "aaa": (),
            "service_types": ("30", "30"),
            "trn": ("TRACE0001",),
        },
    )


def test_an_error_code_that_is_none_is_not_repeated() -> None:
    for text in ("correct horse", "4111111111111111", "x" * 65, "Sender; QUILLFEATHER"):
        observed = x12_seen(refusal(text))
        assert observed.findings[0].code == "unreadable"
        assert text not in repr(observed)


@given(st.integers(0, 2_000), st.binary(min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_no_damage_to_an_answer_makes_the_x12_probe_fail_or_repeat_a_trace_that_is_not_ours(
    place: int, damage: bytes
) -> None:
    good = answer()
    at = place % len(good.body)
    observed = x12_seen(replace(good, body=good.body[:at] + damage + good.body[at + len(damage) :]))
    assert set(observed.facts.get("trn", ())) <= {"TRACE0001"}
    assert observed.findings or observed.facts["set"] == ("271",)


# --- what it means: an example for every row of the shipped table ------------------------------------------------


@dataclass(frozen=True)
class Example:
    """What came back, what was expected, and what that means."""

    name: str
    observe: Callable[[], Observation]
    outcome: OutcomeClass
    place: str = ""
    code: str = ""
    expected: tuple[Expected, ...] = ()


def one(name: str, reply_: Callable[[], HttpReply], outcome: OutcomeClass, where: str = "", **expect: str) -> Example:
    """An answer to the http probe. `where` is "place=code"."""
    place, _, code = where.partition("=")
    return Example(name, lambda: seen(reply_()), outcome, place, code, _expected(expect))


def of_271(
    name: str, reply_: Callable[[], HttpReply], outcome: OutcomeClass, where: str = "", **expect: str
) -> Example:
    place, _, code = where.partition("=")
    return Example(name, lambda: x12_seen(reply_()), outcome, place, code, _expected(expect))


def of_277(name: str, category: str, outcome: OutcomeClass, where: str = "", **expect: str) -> Example:
    """An answer to a claim status request, with this category."""
    place, _, code = where.partition("=")
    return Example(name, lambda: claim_seen(category), outcome, place, code, _expected(expect))


def of_277ca(name: str, category: str, loop: str, outcome: OutcomeClass, where: str = "", **expect: str) -> Example:
    """An answer to a claim, with this category in this loop."""
    place, _, code = where.partition("=")
    return Example(name, lambda: submission_seen(category, loop), outcome, place, code, _expected(expect))


def soap_fault(code: str, outcome: OutcomeClass) -> Example:
    """An answer to an inquiry over SOAP."""
    content_type, body = core_soap.write_fault(code, "because")
    reply_ = HttpReply(400 if code == "Sender" else 500, (("Content-Type", content_type),), body)
    question = inquiry(envelope="core-soap")
    return Example(f"SOAP fault {code}", lambda: X12.read(question, reply_), outcome, "envelope/fault", code)


def wire(code: str, place: str, outcome: OutcomeClass) -> Example:
    """An exchange that failed; the transport's tests show that these are what it says."""
    return Example(f"{place} {code}", lambda: Observation.failed(code, place), outcome, place, code)


def declined(code: str, status: int = 402) -> HttpReply:
    """A decline as card gateways answer it."""
    return reply({"error": {"code": "card_declined", "decline_code": code, "message": "No."}}, status)


def _expected(expect: Mapping[str, str]) -> tuple[Expected, ...]:
    return tuple(Expected(fact.replace("__", "."), (value,)) for fact, value in expect.items())


def echoing(name: str, body: object, outcome: OutcomeClass, where: str) -> Example:
    place, _, code = where.partition("=")
    mine = (Expected("json.reference", ("OR-1",), echo=True),)
    return Example(name, lambda: seen(reply(body)), outcome, place, code, mine)


EXAMPLES = [
    wire("dns", "net/resolve", C.SERVICE_DOWN),
    wire("refused", "net/connect", C.SERVICE_DOWN),
    wire("certificate", "net/tls", C.SERVICE_DOWN),
    wire("reset", "net/send", C.SERVICE_DOWN),
    wire("timeout", "net/wait", C.SERVICE_DOWN),
    wire("truncated", "net/receive", C.SERVICE_DOWN),
    wire("bad-http", "net/protocol", C.MALFORMED),
    wire("too-long", "body/size", C.MALFORMED),
    wire("EMFILE", "agent/socket", C.AGENT_FAULT),
    wire("EBUSY", "agent/resolver", C.AGENT_FAULT),
    wire("certificates", "agent/tls", C.AGENT_FAULT),
    wire("cannot-send", "agent/request", C.AGENT_FAULT),
    wire("loop-lag", "agent/loop", C.AGENT_FAULT),
    # HTTP
    one("all is well", lambda: reply({"state": "paid"}), C.OK, json__state="paid"),
    one("500", lambda: reply(status=500), C.SERVICE_DOWN, "status=500"),
    one("503 with a page", lambda: reply(b"<html>", 503, "text/html"), C.SERVICE_DOWN, "status=503"),
    one("599", lambda: reply(status=599), C.SERVICE_DOWN, "status=599"),
    one("throttled", lambda: reply(status=429), C.THROTTLED, "status=429"),
    one("not logged in", lambda: reply(status=401), C.PROBE_FAULT, "status=401"),
    one("not allowed", lambda: reply(status=403), C.PROBE_FAULT, "status=403"),
    one("declined", lambda: reply(status=402), C.BUSINESS_UNEXPECTED, "status=402"),
    one("declined, as expected", lambda: reply(status=402), C.OK, status="402"),
    one("moved", lambda: reply(status=301), C.MALFORMED, "status=301"),
    one("see elsewhere", lambda: reply(status=302), C.MALFORMED, "status=302"),
    one("not found", lambda: reply(status=404), C.MALFORMED, "status=404"),
    one("bad request", lambda: reply(status=400), C.PROBE_FAULT, "status=400"),
    one("bad request, as expected", lambda: reply(status=400), C.OK, status="400"),
    one("another content type", lambda: reply(status=415), C.PROBE_FAULT, "status=415"),
    one("a conflict", lambda: reply(status=409), C.BUSINESS_UNEXPECTED, "status=409"),
    one("a conflict, as expected", lambda: reply(status=409), C.OK, status="409"),
    one("a decline and its reason", lambda: declined("insufficient_funds"), C.BUSINESS_UNEXPECTED, "status=402"),
    one("a decline and its reason, as expected", lambda: declined("insufficient_funds"), C.OK, status="402",
        json__error__decline_code="insufficient_funds"),
    one("a decline for another reason", lambda: declined("lost_card"), C.BUSINESS_UNEXPECTED,
        "expect/json.error.decline_code=unexpected", status="402", json__error__decline_code="insufficient_funds"),
    one("the issuer is away", lambda: declined("issuer_unavailable"), C.PARTNER_DOWN,
        "json.error.decline_code=issuer_unavailable"),
    one("the issuer is away, where a decline was expected", lambda: declined("issuer_not_available"), C.PARTNER_DOWN,
        "json.error.decline_code=issuer_not_available", status="402"),
    one("the issuer cannot process", lambda: reply({"error": {"code": "processing_error"}}, 402), C.PARTNER_DOWN,
        "json.error.code=processing_error"),
    one("the issuer is away, as expected", lambda: declined("issuer_unavailable"), C.OK, status="402",
        json__error__decline_code="issuer_unavailable"),
    one("an issuer beside a 500", lambda: declined("issuer_unavailable", 500), C.SERVICE_DOWN, "status=500"),
    one("an issuer beside a 429", lambda: declined("issuer_unavailable", 429), C.THROTTLED, "status=429"),
    one("an issuer beside a 401", lambda: declined("issuer_unavailable", 401), C.PROBE_FAULT, "status=401"),
    one("an issuer in words", lambda: reply({"error": {"message": "issuer_unavailable"}}, 402), C.BUSINESS_UNEXPECTED,
        "status=402"),
    one("another protocol", lambda: reply(status=101), C.MALFORMED, "status=101"),
    one("HTML with 200", lambda: reply(b"<html>", content_type="text/html"), C.MALFORMED, "body/type=not-json"),
    one("HTML called JSON", lambda: reply(b"<html>"), C.MALFORMED, "body/json=not-json"),
    one("half of the JSON", lambda: reply(b'{"id":'), C.MALFORMED, "body/json=not-json"),
    one("200 where 201 was agreed on", reply, C.MALFORMED, "expect/status=unexpected", status="201"),
    one("a field is missing", reply, C.MALFORMED, "expect/json.state=missing", json__state="paid"),
    one("another state", lambda: reply({"state": "open"}), C.BUSINESS_UNEXPECTED, "expect/json.state=unexpected",
        json__state="paid"),
    echoing("our reference", {"reference": "OR-1"}, C.OK, ""),
    echoing("somebody else's reference", {"reference": "OR-2"}, C.MALFORMED, "echo/json.reference=mismatch"),
    echoing("no reference", {}, C.MALFORMED, "echo/json.reference=mismatch"),
    # The envelope
    of_271("active coverage", answer, C.OK, eb="1"),
    of_271("HTML with 200, to X12", lambda: reply(b"<html>", content_type="text/html"), C.MALFORMED,
           "envelope/content-type=not-multipart"),
    of_271("half of the envelope", lambda: replace(answer(), body=answer().body[:-40]), C.MALFORMED,
           "envelope/frame=truncated"),
    of_271("an envelope without sender", lambda: replace(answer(), body=answer().body.replace(b"SenderID", b"Sender")),
           C.MALFORMED, "envelope/senderid=missing"),
    of_271("another PayloadID", lambda: answer(payload_id="00000000-0000-0000-0000-000000000000"), C.MALFORMED,
           "echo/payload_id=mismatch"),
    of_271("the receiver's own trouble", lambda: refusal("Receiver"), C.SERVICE_DOWN, "envelope/errorcode=Receiver"),
    of_271("timed out behind it", lambda: refusal("RealTimeTimeOut"), C.SERVICE_DOWN,
           "envelope/errorcode=RealTimeTimeOut"),
    of_271("our field is missing", lambda: refusal("PayloadTypeRequired"), C.PROBE_FAULT,
           "envelope/errorcode=PayloadTypeRequired"),
    of_271("our field is wrong", lambda: refusal("SenderIDIllegal"), C.PROBE_FAULT,
           "envelope/errorcode=SenderIDIllegal"),
    of_271("our ReceiverID is wrong, which is not the receiver's trouble", lambda: refusal("ReceiverIDIllegal"),
           C.PROBE_FAULT, "envelope/errorcode=ReceiverIDIllegal"),
    of_271("our field is not known", lambda: refusal("PasswordNotUnderstood"), C.PROBE_FAULT,
           "envelope/errorcode=PasswordNotUnderstood"),
    of_271("our version", lambda: refusal("VersionMismatch"), C.PROBE_FAULT, "envelope/errorcode=VersionMismatch"),
    of_271("our checksum", lambda: refusal("ChecksumMismatched"), C.PROBE_FAULT,
           "envelope/errorcode=ChecksumMismatched"),
    of_271("our password", lambda: refusal("UnAuthorized"), C.PROBE_FAULT, "envelope/errorcode=UnAuthorized"),
    of_271("not served here", lambda: refusal("NotSupported"), C.PROBE_FAULT, "envelope/errorcode=NotSupported"),
    of_271("our envelope at large", lambda: refusal("Sender"), C.PROBE_FAULT, "envelope/errorcode=Sender"),
    soap_fault("Receiver", C.SERVICE_DOWN),
    soap_fault("Sender", C.PROBE_FAULT),
    soap_fault("MustUnderstand", C.PROBE_FAULT),
    soap_fault("VersionMismatch", C.PROBE_FAULT),
    soap_fault("DataEncodingUnknown", C.PROBE_FAULT),
    of_271("a code that CORE does not know", lambda: refusal("Oops"), C.MALFORMED, "envelope/errorcode=Oops"),
    of_271("a code that is none", lambda: refusal("%&!"), C.MALFORMED, "envelope/errorcode=unreadable"),
    of_271("401 to X12", lambda: replace(answer(), status=401), C.PROBE_FAULT, "status=401"),
    of_271("502 to X12", lambda: reply(b"", 502, "text/html"), C.SERVICE_DOWN, "status=502"),
    # X12
    of_271("the trace of another", lambda: answer(response(trace="OTHER")), C.MALFORMED, "echo/trn=mismatch"),
    of_271("half of the X12", lambda: answer(response()[:-30]), C.MALFORMED, "x12/segment=truncated"),
    of_271("one segment more than SE01 says", lambda: answer(response().replace(b"SE*", b"MSG*HELLO~SE*")), C.MALFORMED,
           "x12/SE01=se01-count"),
    of_271("not X12 at all", lambda: answer(b"Service temporarily unavailable"), C.MALFORMED, "x12/ISA=no-isa"),
    of_271("a 270 came back", lambda: answer(asked()[0].payload), C.MALFORMED, "x12/ST01=wrong-set"),
    of_271("only an acknowledgement that accepts", lambda: answer(acknowledgement("A")), C.MALFORMED,
           "x12/ST01=wrong-set"),
    of_271("our transaction is rejected", lambda: answer(acknowledgement("R")), C.PROBE_FAULT, "999/IK501=R"),
    of_271("our interchange is rejected", lambda: answer(ta1("R")), C.PROBE_FAULT, "ta1/TA105=006"),
    of_271("the network cannot answer", lambda: answer(response(("42", "2000A"))), C.SERVICE_DOWN, "aaa/2000A=42"),
    of_271("the payer cannot answer", lambda: answer(response(("42", "2100A"))), C.PARTNER_DOWN, "aaa/2100A=42"),
    of_271("the payer cannot answer about this member", lambda: answer(response(("42", "2100C"))), C.PARTNER_DOWN,
           "aaa/2100C=42"),
    of_271("the payer does not answer", lambda: answer(response(("80", "2100A"))), C.PARTNER_DOWN, "aaa/2100A=80"),
    of_271("we are not authorised", lambda: answer(response(("41", "2100B"))), C.PROBE_FAULT, "aaa/2100B=41"),
    of_271("our provider is unknown", lambda: answer(response(("43", "2100B"))), C.PROBE_FAULT, "aaa/2100B=43"),
    of_271("our provider is not on file", lambda: answer(response(("51", "2100B"))), C.PROBE_FAULT, "aaa/2100B=51"),
    of_271("a known member is not found", lambda: answer(response(("75", "2100C"))), C.BUSINESS_UNEXPECTED,
           "aaa/2100C=75", eb="1"),
    of_271("an unknown member is not found", lambda: answer(response(("75", "2100C"))), C.OK, aaa="75"),
    of_271("an invalid id is refused", lambda: answer(response(("72", "2100C"))), C.OK, aaa="72"),
    of_271("refused for another reason", lambda: answer(response(("72", "2100C"))), C.BUSINESS_UNEXPECTED,
           "aaa/2100C=72", aaa="75"),
    of_271("not covered", lambda: answer(response()), C.BUSINESS_UNEXPECTED, "expect/eb=unexpected", eb="6"),
    of_271("an unknown member is covered", answer, C.BUSINESS_UNEXPECTED, "expect/aaa=missing", aaa="75"),
    # Claim status
    of_277("a paid claim", "F1", C.OK, stc="F1"),
    of_277("the claim's systems are down", "E1", C.SERVICE_DOWN, "stc/2200D=E1", stc="F1"),
    of_277("an error that the list has not", "E9", C.SERVICE_DOWN, "stc/2200D=E9", stc="F1"),
    of_277("the information holder does not answer", "E2", C.PARTNER_DOWN, "stc/2200D=E2", stc="F1"),
    of_277("our question is in error", "E0", C.PROBE_FAULT, "stc/2200D=E0", stc="F1"),
    of_277("a known claim is not found", "D0", C.BUSINESS_UNEXPECTED, "stc/2200D=D0", stc="F1"),
    of_277("an unknown claim is not found", "D0", C.OK, stc="D0"),
    of_277("a paid claim is pending", "P1", C.BUSINESS_UNEXPECTED, "expect/stc=unexpected", stc="F1"),
    # FHIR: tests/unit/codecs/test_fhir.py shows that answers give these findings
    *(wire(code, "issue/insurer", C.PARTNER_DOWN)
      for code in ("transient", "lock-error", "no-store", "exception", "timeout", "incomplete")),
    *(wire(code, "issue/whole", C.SERVICE_DOWN)
      for code in ("transient", "lock-error", "no-store", "exception", "timeout", "incomplete")),
    wire("throttled", "issue/insurer", C.THROTTLED),
    *(wire(code, "issue/whole", C.PROBE_FAULT)
      for code in ("security", "login", "unknown", "expired", "forbidden", "invalid", "structure", "required", "value",
                   "invariant", "not-supported", "too-long", "code-invalid", "extension", "too-costly")),
    *(wire(code, "issue/patient", C.BUSINESS_UNEXPECTED)
      for code in ("processing", "duplicate", "multiple-matches", "not-found", "deleted", "business-rule", "conflict",
                   "suppressed")),
    wire("unreadable", "issue/whole", C.MALFORMED),
    wire("42", "error/x12", C.PARTNER_DOWN),
    wire("80", "error/x12", C.PARTNER_DOWN),
    wire("41", "error/x12", C.PROBE_FAULT),
    wire("43", "error/x12", C.PROBE_FAULT),
    wire("51", "error/x12", C.PROBE_FAULT),
    wire("75", "error/x12", C.BUSINESS_UNEXPECTED),
    wire("a001", "error/hl7", C.PROBE_FAULT),
    wire("uncoded", "error/none", C.MALFORMED),
    wire("queued", "outcome", C.BUSINESS_UNEXPECTED),
    wire("partial", "outcome", C.BUSINESS_UNEXPECTED),
    wire("error", "outcome", C.MALFORMED),
    wire("missing", "fhir/outcome", C.MALFORMED),
    wire("missing", "expect/error", C.BUSINESS_UNEXPECTED),
    wire("missing", "expect/issue", C.BUSINESS_UNEXPECTED),
    # Claims
    of_277ca("a claim that is taken", "A2", "2200D", C.OK, stc="A2"),
    of_277ca("the intake's systems are down", "E1", "2200B", C.SERVICE_DOWN, "stc/2200B=E1", stc="A2"),
    of_277ca("the payer is silent", "E2", "2200B", C.PARTNER_DOWN, "stc/2200B=E2", stc="A2"),
    of_277ca("our submission is refused", "A3", "2200B", C.PROBE_FAULT, "stc/2200B=A3", stc="A2"),
    of_277ca("our provider is refused", "A7", "2200C", C.PROBE_FAULT, "stc/2200C=A7", stc="A2"),
    of_277ca("a good claim is refused", "A7", "2200D", C.BUSINESS_UNEXPECTED, "stc/2200D=A7", stc="A2"),
    of_277ca("a bad claim is refused", "A7", "2200D", C.OK, stc="A7"),
    of_277ca("a bad claim is taken", "A2", "2200D", C.BUSINESS_UNEXPECTED, "expect/stc=unexpected", stc="A7"),
    # TLS, DNS, SMTP, SIP
    *(Example(name, look, outcome, place, code, _expected(expect))
      for name, look, outcome, place, code, expect in rows()),
]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_what_came_back_means_what_the_design_says(example: Example) -> None:
    outcome = classify(example.expected, example.observe(), OUTCOME_TABLE)
    assert (outcome.outcome, outcome.place, outcome.code) == (example.outcome, example.place, example.code)


def test_every_row_of_the_table_has_an_example() -> None:
    used = set()
    for example in EXAMPLES:
        for finding in (*example.observe().findings, Finding(example.code, example.place)):
            used |= {next((rule for rule in OUTCOME_TABLE if rule.matches(finding)), None)}
    elsewhere = iso8583_responses.RULES  # tests/unit/codecs/test_iso8583.py
    assert [rule for rule in OUTCOME_TABLE if rule not in used and rule not in elsewhere] == []


def test_no_row_of_the_table_is_hidden_behind_another() -> None:
    def covers(wide: str, narrow: str) -> bool:
        return re.fullmatch(".*".join(map(re.escape, wide.split("*"))), narrow) is not None

    hidden = [
        later
        for number, later in enumerate(OUTCOME_TABLE)
        for earlier in OUTCOME_TABLE[:number]
        if covers(earlier.place, later.place) and covers(earlier.code, later.code)
    ]
    assert hidden == []


def test_the_probes_are_those_that_scenarios_can_name() -> None:
    assert set(PROBES) == {"dns", "fhir", "http", "iso8583", "sip", "smtp", "tcp", "tls", "x12"}
