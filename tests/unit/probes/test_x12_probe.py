"""The x12 probe without a network: what a step may say, what is sent for it, and how answers are told apart."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outrider.codecs import claim_status, core_mime, eligibility, prior_authorization, professional_claim
from outrider.codecs.core_envelope import X12_277CA, X12_837_REQUEST
from outrider.config import load_scenario
from outrider.probes import Prepared, Target
from outrider.probes.table import PROBES
from outrider.strict_yaml import ConfigError
from outrider.transport import HttpReply

PROBE = PROBES["x12"]
TARGET = Target("here", "http://127.0.0.1:1/", headers=(("X-Key", "k"),))
PARTIES: dict[str, Any] = {
    "path": "/core/realtime",
    "sender": "OUTRIDER",
    "receiver": "CLEARING",
    "payer": {"name": "SYNTHETIC PAYER", "id": "99001"},
    "provider": {"name": "SYNTHETIC CLINIC", "id": "1234567893"},
    "member": {"last": "QUILLFEATHER", "first": "OTTOLINE", "id": "W998877665", "birth_date": "19710203"},
}
CLAIM = {"account": "ACCT-1", "amount": "12.50", "service_from": "2026-03-01", "service_to": "20260303"}
CLAIM_STATUS = {**PARTIES, "transaction": "claim_status", "claim": CLAIM}
HOME = {"street": "9 LARKSPUR MEWS", "city": "WIMBLEHURST", "state": "NY", "zip": "10001"}
SUBMITTED: dict[str, Any] = {
    **PARTIES,
    "transaction": "claim",
    "submitter": {"name": "SYNTHETIC SERVICE", "id": "S99", "phone": "5555550100"},
    "provider": {**PARTIES["provider"], "tax_id": "123456789", "address": {**HOME, "zip": "10001-0001"}},
    "member": {**PARTIES["member"], "gender": "F", "address": HOME},
    "claim": {"diagnoses": ["R519", "J069"], "lines": [{"code": "99213", "charge": "75.00"}]},
}
CHILD = {"last": "QUILLFEATHER", "first": "BARNABY", "birth_date": "20090817", "gender": "M"}


def drawing(trace: str = "") -> Callable[[str], str]:
    numbers = itertools.count(7)
    fixed = {"uuid": "0b7a4a3e-6f0e-4f0a-9f67-0d1f6d6c1b11", "now": "2026-06-01T22:00:00Z", "today": "2026-06-01"}
    return lambda name: fixed.get(name) or (name == "trace" and trace) or f"{next(numbers)}"


def prepare(request: dict[str, Any], trace: str = "") -> tuple[Prepared, core_mime.Envelope]:
    prepared = PROBE.prepare(request, TARGET, drawing(trace))
    headers = dict(prepared.request.headers)
    return prepared, core_mime.read(headers["Content-Type"], prepared.request.body)


def test_a_step_that_names_no_transaction_asks_for_eligibility() -> None:
    prepared, envelope = prepare(PARTIES)
    assert (prepared.request.url, envelope.payload_type) == ("http://127.0.0.1:1/core/realtime", core_mime.X12_270)
    inquiry = eligibility.read_inquiry(envelope.payload)
    assert (inquiry.trace, inquiry.service_date, inquiry.dependent) == (prepared.sent["trace"], "20260601", None)


def test_a_dependent_is_the_patient_of_either_transaction() -> None:
    _, envelope = prepare({**PARTIES, "dependent": CHILD})
    child = eligibility.Dependent("QUILLFEATHER", "BARNABY", "20090817", "M")
    assert eligibility.read_inquiry(envelope.payload).dependent == child
    _, envelope = prepare({**CLAIM_STATUS, "dependent": CHILD})
    assert claim_status.read_request(envelope.payload).dependent == child


def test_claim_status_is_sent_as_a_276_about_the_claim() -> None:
    prepared, envelope = prepare(CLAIM_STATUS)
    assert envelope.payload_type == core_mime.X12_276
    inquiry = claim_status.read_request(envelope.payload)
    assert inquiry.claim == claim_status.Claim("ACCT-1", "12.50", "20260301", "20260303")
    assert (inquiry.submitter_name, inquiry.submitter_id) == ("SYNTHETIC CLINIC", "OUTRIDER")
    assert (inquiry.trace, inquiry.member.member_id) == (prepared.sent["trace"], "W998877665")


def test_prior_authorization_is_sent_as_a_278_about_the_event() -> None:
    event = {"service_type": "3", "diagnosis": "R519"}
    prepared, envelope = prepare({**PARTIES, "transaction": "prior_authorization", "event": event, "dependent": CHILD})
    assert envelope.payload_type == core_mime.X12_278_REQUEST
    request = prior_authorization.read_request(envelope.payload)
    assert request.event == prior_authorization.Event("HS", "3", "20260601", "R519")
    assert (request.trace, request.dependent) == (
        prepared.sent["trace"],
        prior_authorization.Dependent("QUILLFEATHER", "BARNABY", "20090817", "M"),
    )


def test_a_claim_is_sent_as_an_837_with_numbers_of_its_own() -> None:
    prepared, envelope = prepare(SUBMITTED)
    assert envelope.payload_type == X12_837_REQUEST
    submission = professional_claim.read_submission(envelope.payload)
    assert submission.claim == professional_claim.Claim(
        prepared.sent["claim"], ("R519", "J069"), (professional_claim.ServiceLine("99213", "75.00", "20260601"),)
    )
    assert (submission.trace, str(submission.control_number)) == (
        prepared.sent["trace"],
        prepared.sent["control_number"],
    )
    assert submission.address == professional_claim.Address("9 LARKSPUR MEWS", "WIMBLEHURST", "NY", "10001")
    assert submission.provider.address.zip_code == "100010001"
    assert (submission.receiver_name, submission.usage, submission.dependent) == ("SYNTHETIC PAYER", "T", None)


def test_a_claim_says_what_the_step_says() -> None:
    line = {"code": "87880", "charge": "12.50", "units": "2", "modifiers": ["25"], "for_diagnoses": [2, 1]}
    claim = {
        **SUBMITTED["claim"],
        "id": "OWN-1",
        "lines": [line],
        "place_of_service": "02",
        "service_from": "2026-05-01",
        "service_to": "20260503",
        "frequency": "7",
        "signature": "N",
        "assignment": "C",
        "benefits": "W",
        "release": "I",
        "filing": "MC",
    }
    child = {**CHILD, "relationship": "G8"}
    prepared, envelope = prepare(
        {**SUBMITTED, "claim": claim, "dependent": child, "receiver_name": "DESK", "usage": "P"}
    )
    submission = professional_claim.read_submission(envelope.payload)
    service = professional_claim.ServiceLine(
        "87880", "12.50", "20260501", "20260503", "2", modifiers=("25",), pointers=(2, 1)
    )
    assert submission.claim == professional_claim.Claim(
        "OWN-1", ("R519", "J069"), (service,), "02", "7", "N", "C", "W", "I", "MC", "G8"
    )
    assert submission.dependent == professional_claim.Dependent("QUILLFEATHER", "BARNABY", "20090817", "M")
    assert (submission.receiver_name, submission.usage, prepared.sent["claim"]) == ("DESK", "P", "OWN-1")


def test_a_trace_that_is_longer_than_the_guide_has_room_for_is_sent_and_matched_by_its_beginning() -> None:
    trace = "0123456789ABCDEF0123456789ABCDEF"
    prepared, envelope = prepare(SUBMITTED, trace)
    submission = professional_claim.read_submission(envelope.payload)
    assert (submission.trace, submission.claim.identifier) == (trace[:30], trace[:20])
    assert (prepared.sent["trace"], prepared.sent["claim"]) == (trace[:30], trace[:20])
    for changed, places in (({}, []), ({"claim": "OTHER"}, ["echo/trn"]), ({"trace": trace}, ["echo/trn"])):
        reply = answered(envelope, professional_claim.write_response(
            submission, control_number=1, created=submission.created))  # fmt: skip
        seen = PROBE.read(Prepared(prepared.request, {**prepared.sent, **changed}), reply)
        assert [finding.place for finding in seen.findings] == places


def answered(sent: core_mime.Envelope, payload: bytes) -> HttpReply:
    """The payload in an envelope that answers the one that was sent. Nobody looks at its PayloadType."""
    envelope = core_mime.Envelope(
        payload_type=X12_277CA,
        payload_id=sent.payload_id,
        timestamp=sent.timestamp,
        sender_id="CLEARING",
        receiver_id="OUTRIDER",
        payload=payload,
        error_code=core_mime.SUCCESS,
    )
    content_type, body = core_mime.write(envelope, boundary="test-boundary-9")
    return HttpReply(200, (("Content-Type", content_type),), body)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"submitter": {"name": "S", "id": "1"}}, "missing required field `phone` - at `$.submitter`"),
        ({"provider": PARTIES["provider"]}, "missing required field `tax_id` - at `$.provider`"),
        ({"member": PARTIES["member"]}, "missing required field `address` - at `$.member`"),
        ({"claim": {"diagnoses": ["R519"]}}, "missing required field `lines` - at `$.claim`"),
        ({"claim": {**SUBMITTED["claim"], "amount": "75.00"}}, "unknown field `amount` - at `$.claim`"),
        ({"claim": {**SUBMITTED["claim"], "assignment": "Q"}}, "at `$.claim.assignment`"),
        ({"dependent": {**CHILD, "relationship": "cousin"}}, "at `$.dependent.relationship`"),
        ({"service_types": ["30"]}, "unknown field `service_types`"),
    ],
)
def test_a_claim_that_can_never_be_sent_is_refused_with_its_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        PROBE.check({**SUBMITTED, **change})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"claim": {**SUBMITTED["claim"], "lines": []}}, "LX01"),
        ({"claim": {**SUBMITTED["claim"], "lines": [{"code": "99213", "charge": "much"}]}}, "SV102"),
        ({"claim": {**SUBMITTED["claim"], "lines": [{"code": "99213", "charge": "1", "for_diagnoses": [3]}]}}, "SV107"),
        ({"claim": {**SUBMITTED["claim"], "service_from": "soon"}}, "DTP03"),
        ({"claim": {**SUBMITTED["claim"], "id": "C" * 21}}, "CLM01"),
        ({"provider": {**SUBMITTED["provider"], "id": "1234567890"}}, "NM109"),
        ({"member": {**SUBMITTED["member"], "gender": ""}}, "DMG02"),
        ({"member": {**SUBMITTED["member"], "last": "A~B"}}, "NM103"),
    ],
)
def test_what_only_a_rendered_claim_shows_is_a_value_error(change: dict[str, Any], where: str) -> None:
    with pytest.raises(ValueError, match=where):
        prepare({**SUBMITTED, **change})


def test_a_submitter_of_its_own_asks_on_the_providers_behalf() -> None:
    _, envelope = prepare({**CLAIM_STATUS, "submitter": {"name": "SERVICE", "id": "S1"}})
    inquiry = claim_status.read_request(envelope.payload)
    assert (inquiry.submitter_name, inquiry.submitter_id) == ("SERVICE", "S1")


def test_an_answer_is_read_as_the_transaction_that_was_asked() -> None:
    prepared, sent = prepare(CLAIM_STATUS)
    inquiry = claim_status.read_request(sent.payload)
    paid = claim_status.ClaimStatus("F1", "65")
    payload = claim_status.write_response(inquiry, control_number=1, created=inquiry.created, statuses=(paid,))
    reply = answered(sent, payload)
    seen = PROBE.read(prepared, reply)
    assert (seen.findings, seen.facts["stc"], seen.facts["status"]) == ((), ("F1",), ("200",))
    asked_for_eligibility = Prepared(prepared.request, {**prepared.sent, "transaction": "eligibility"})
    other = PROBE.read(asked_for_eligibility, reply)
    assert [finding.code for finding in other.findings] == ["wrong-set"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"transaction": "claims"},
            "known: eligibility, claim_status, prior_authorization, claim - at `$.transaction`",
        ),
        ({"transaction": 276}, "known: eligibility, claim_status, prior_authorization, claim - at `$.transaction`"),
        ({"transaction": "eligibility"}, "unknown field `claim`"),
        ({"service_types": ["30"]}, "unknown field `service_types`"),
        ({"claim": {"amount": "1"}}, "missing required field `account` - at `$.claim`"),
        ({"claim": {**CLAIM, "amount": 12}}, "Expected `str`, got `int` - at `$.claim.amount`"),
        ({"dependent": {**CHILD, "gender": "X"}}, "at `$.dependent.gender`"),
    ],
)
def test_a_step_that_can_never_be_sent_is_refused_with_its_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        PROBE.check({**CLAIM_STATUS, **change})
    assert message in str(caught.value)


@pytest.mark.parametrize("change", [{"amount": "much"}, {"service_from": "soon"}, {"account": "A~B"}])
def test_what_only_a_rendered_step_shows_is_a_value_error(change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"AMT02|DTP03|REF02"):
        prepare({**CLAIM_STATUS, "claim": {**CLAIM, **change}})


def test_a_wrong_transaction_in_a_file_is_named_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    lines = ["name: wrong", "title: Wrong", "synthetic: true", "probe: x12", "steps:", "  - name: one"]
    file.write_text("\n".join([*lines, "    request:", "      transaction: claims", "    expect: {}", ""]))
    with pytest.raises(ConfigError) as caught:
        load_scenario(file)
    assert f"{file}:8:20: " in str(caught.value)
    assert "known: eligibility, claim_status, prior_authorization, claim" in str(caught.value)
