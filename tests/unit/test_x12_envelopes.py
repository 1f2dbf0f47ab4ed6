"""What the x12 probe makes of answers on each wire, without a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs import core_mime, core_soap, eligibility
from outrider.codecs.core_envelope import X12_271, Envelope
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.config import load_scenario
from outrider.core.outcome import Expected, OutcomeClass, classify
from outrider.core.units import parse_instant, to_datetime
from outrider.probes import Prepared, Target
from outrider.probes.x12 import X12Probe
from outrider.probes.x12_envelopes import ENVELOPES
from outrider.strict_yaml import ConfigError
from outrider.transport import HttpReply

C = OutcomeClass
PAYLOAD_ID = "0b7a4a3e-6f0e-4f0a-9f67-0d1f6d6c1b11"
NOW = "2026-06-01T22:00:00Z"
DRAWN = {"trace": "TRACE-17", "uuid": PAYLOAD_ID, "now": NOW, "control_number": "17", "today": "2026-06-01"}
REQUEST: dict[str, Any] = {
    "path": "/core",
    "sender": "OUTRIDER",
    "receiver": "CLEARING",
    "payer": {"name": "OUTRIDER TEST PAYER", "id": "OUTPAYER01"},
    "provider": {"name": "OUTRIDER TEST CLINIC", "id": "1234567893"},
    "member": {"last": "OUTRIDER", "first": "TESTONE", "id": "OUT100000001", "birth_date": "19700101"},
}


def prepared(envelope: str, **changes: Any) -> Prepared:
    target = Target("clearing", "https://clearing.test", (("X-Key", "k"),))
    return X12Probe().prepare({**REQUEST, "envelope": envelope, **changes}, target, DRAWN.__getitem__)


def sent_x12(envelope: str) -> bytes:
    request = prepared(envelope).request
    content_type = dict(request.headers)["Content-Type"]
    match envelope:
        case "core-mime":
            return core_mime.read(content_type, request.body).payload
        case "core-soap":
            return core_soap.read(content_type, request.body).payload
    return request.body


def answer_271() -> bytes:
    inquiry = eligibility.read_inquiry(sent_x12("none"))
    created = to_datetime(parse_instant(NOW))
    return eligibility.write_response(inquiry, control_number=3, created=created, benefits=[eligibility.Benefit("1")])


ANSWER = Envelope(X12_271, PAYLOAD_ID, NOW, "CLEARING", "OUTRIDER", answer_271(), error_code="Success")
REFUSED = replace(ANSWER, payload=b"", error_code="UnAuthorized")
ODD = replace(REFUSED, error_code="4111111111111111")
OTHER = replace(ANSWER, payload_id="f81d4fae-7dec-11d0-a765-00a0c91e6bf6")


def soap(envelope: Envelope = ANSWER, status: int = 200) -> HttpReply:
    content_type, body = core_soap.write(envelope)
    return HttpReply(status, (("content-type", content_type),), body)


def mime(envelope: Envelope = ANSWER, status: int = 200) -> HttpReply:
    content_type, body = core_mime.write(envelope, boundary="b-17")
    return HttpReply(status, (("Content-Type", content_type),), body)


def plain(body: bytes = ANSWER.payload, status: int = 200) -> HttpReply:
    return HttpReply(status, (("Content-Type", "application/edi-x12"),), body)


def fault(code: str, status: int) -> HttpReply:
    content_type, body = core_soap.write_fault(code, "because")
    return HttpReply(status, (("Content-Type", content_type),), body)


def test_every_envelope_carries_the_same_inquiry() -> None:
    assert sent_x12("core-mime") == sent_x12("core-soap") == sent_x12("none")
    assert sent_x12("none").startswith(b"ISA*")


@pytest.mark.parametrize(
    ("envelope", "content_type"),
    [
        ("core-mime", f"multipart/form-data; boundary=outrider-{PAYLOAD_ID}"),
        ("core-soap", 'application/soap+xml; charset=UTF-8; action="RealTimeTransaction"'),
        ("none", "application/edi-x12"),
    ],
)
def test_the_content_type_says_which_envelope_it_is(envelope: str, content_type: str) -> None:
    request = prepared(envelope).request
    assert (request.method, request.url) == ("POST", "https://clearing.test/core")
    assert dict(request.headers)["Content-Type"] == content_type
    assert dict(request.headers)["X-Key"] == "k"


def test_without_a_word_the_envelope_is_mime() -> None:
    target = Target("clearing", "https://clearing.test")
    made = X12Probe().prepare(REQUEST, target, DRAWN.__getitem__)
    assert made.request.body == prepared("core-mime").request.body


@pytest.mark.parametrize(
    ("envelope", "reply", "code", "place", "outcome"),
    [
        ("core-mime", mime(), "", "", C.OK),
        ("core-soap", soap(), "", "", C.OK),
        ("none", plain(), "", "", C.OK),
        ("core-mime", mime(OTHER), "mismatch", "echo/payload_id", C.MALFORMED),
        ("core-soap", soap(OTHER), "mismatch", "echo/payload_id", C.MALFORMED),
        ("core-mime", mime(replace(ANSWER, error_code="")), "missing", "envelope/errorcode", C.MALFORMED),
        ("core-mime", mime(REFUSED), "UnAuthorized", "envelope/errorcode", C.PROBE_FAULT),
        ("core-soap", soap(REFUSED), "UnAuthorized", "envelope/errorcode", C.PROBE_FAULT),
        ("core-soap", soap(ODD), "unreadable", "envelope/errorcode", C.MALFORMED),
        # A fault says more than the status that comes with every fault.
        ("core-soap", fault("Receiver", 500), "Receiver", "envelope/fault", C.SERVICE_DOWN),
        ("core-soap", fault("Sender", 400), "Sender", "envelope/fault", C.PROBE_FAULT),
        ("core-soap", fault("Sender", 500), "Sender", "envelope/fault", C.PROBE_FAULT),
        ("core-soap", fault("MustUnderstand", 500), "MustUnderstand", "envelope/fault", C.PROBE_FAULT),
        ("core-soap", fault("Receiver", 200), "Receiver", "envelope/fault", C.SERVICE_DOWN),
        # Any other status says more than a fault.
        ("core-soap", fault("Sender", 429), "429", "status", C.THROTTLED),
        ("core-soap", fault("Sender", 503), "503", "status", C.SERVICE_DOWN),
        ("core-soap", fault("Receiver", 401), "401", "status", C.PROBE_FAULT),
        # An answer with an error status is none, whatever its body says.
        ("core-soap", soap(status=500), "500", "status", C.SERVICE_DOWN),
        ("core-soap", soap(REFUSED, 400), "400", "status", C.PROBE_FAULT),
        ("core-mime", mime(status=500), "500", "status", C.SERVICE_DOWN),
        ("none", plain(status=500), "500", "status", C.SERVICE_DOWN),
        # Another wire's answer.
        ("core-soap", mime(), "not-soap", "envelope/content-type", C.MALFORMED),
        ("core-mime", soap(), "not-multipart", "envelope/content-type", C.MALFORMED),
        ("core-mime", fault("Sender", 400), "400", "status", C.PROBE_FAULT),
        ("none", soap(), "no-isa", "x12/ISA", C.MALFORMED),
        ("none", plain(b""), "empty", "x12/ISA", C.MALFORMED),
        # Our own request, sent back.
        ("core-soap", soap(replace(ANSWER, error_code="")), "not-core", "envelope/body", C.MALFORMED),
    ],
)
def test_an_answer_is_classified(envelope: str, reply: HttpReply, code: str, place: str, outcome: C) -> None:
    observation = X12Probe().read(prepared(envelope), reply)
    verdict = classify((Expected("eb", ("1",)),), observation, OUTCOME_TABLE)
    assert (verdict.code, verdict.place, verdict.outcome) == (code, place, outcome)
    assert observation.facts["status"] == (str(reply.status),)


@pytest.mark.parametrize(
    ("change", "line", "told"),
    [
        ("envelope: soap", 9, "'soap' is not one of core-mime, core-soap, none"),
        ("envelope: [none]", 9, "Expected `str`"),
        ("envelope: none\n      username: x", 8, "no place for username"),
        ("envelope: core-soap\n      password: x", 8, "needs a username"),
    ],
)
def test_a_scenario_that_cannot_be_sent_is_refused_where_it_says_so(
    tmp_path: Path, change: str, line: int, told: str
) -> None:
    shipped = (Path(__file__).parents[2] / "scenarios" / "eligibility-soap.yaml").read_text(encoding="utf-8")
    text = "\n".join(row for row in shipped.splitlines() if not row.startswith("#"))
    assert text.count("envelope: core-soap") == 1
    path = tmp_path / "scenario.yaml"
    path.write_text(text.replace("envelope: core-soap", change), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_scenario(path)
    assert told in str(caught.value)
    assert f"scenario.yaml:{line}:" in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(ENVELOPES)),
    st.sampled_from([200, 204, 400, 429, 500]),
    st.sampled_from([mime(), soap(), plain(), fault("Sender", 400)]),
    st.data(),
)
def test_no_answer_makes_a_probe_raise(envelope: str, status: int, reply: HttpReply, data: st.DataObject) -> None:
    body = bytearray(reply.body)
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=3))
    observation = X12Probe().read(prepared(envelope), HttpReply(status, reply.headers, bytes(body)))
    assert observation.facts["status"] == (str(status),)


@pytest.mark.parametrize("envelope", sorted(ENVELOPES))
@pytest.mark.parametrize("name", ["A~B", "A\x1dB", "A*B"])
def test_a_name_that_x12_cannot_carry_is_refused_before_it_is_sent(envelope: str, name: str) -> None:
    with pytest.raises(ValueError, match="NM1"):
        prepared(envelope, payer={"name": name, "id": "OUTPAYER01"})
