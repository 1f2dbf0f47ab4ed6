"""What is fuzzed: each parser, with good messages to start from.

Rules
-----
1. A target takes any bytes and returns. A typed error of the parser is what it is for; whatever else comes out of a
   target is a defect, and so is a promise that a parser breaks: an offset outside the message, an error or a finding
   that names a person, facts beside a structural finding.
2. Nothing here needs the fuzzer: tests run the same targets on their own inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from outrider.codecs import (
    claim_status,
    core_mime,
    core_soap,
    eligibility,
    fhir_answer,
    prior_authorization,
    professional_claim,
    sip,
    smtp,
    strict_xml,
    x12,
)
from outrider.codecs.core_envelope import Envelope, EnvelopeError
from outrider.codecs.framing import FramingError
from outrider.codecs.x12 import X12Error
from outrider.core.outcome import Observation
from outrider_sandbox.clearinghouse.acknowledge import reject

CREATED = datetime(2026, 6, 1, 22, 15, 30, tzinfo=UTC)
TRACE = "trace-0001"
PERSON = ("QUILLFEATHER", "OTTOLINE", "BARNABY", "W998877665", "19710203", "ACCT-55501")
"""The made-up people of the seeds."""

_MEMBER = eligibility.Member("QUILLFEATHER", "OTTOLINE", "W998877665", "19710203", "F")
_CHILD = eligibility.Dependent("QUILLFEATHER", "BARNABY", "20090817", "M")
_PARTIES = ("OUTRIDER", "CLEARING", 42, TRACE, "SYNTHETIC PAYER", "99001")
_CLINIC = ("SYNTHETIC CLINIC", "1234567893")
_INQUIRY = eligibility.Inquiry(*_PARTIES, *_CLINIC, _MEMBER, created=CREATED, service_date="20260601")
_CLAIM = claim_status.ClaimInquiry(
    *_PARTIES, "SYNTHETIC SERVICE", "S99", *_CLINIC, _MEMBER,
    claim_status.Claim("ACCT-55501", "125.00", "20260301", "20260303"), created=CREATED,
)  # fmt: skip
_REVIEW = prior_authorization.ReviewRequest(
    *_PARTIES, *_CLINIC, _MEMBER, prior_authorization.Event("HS", "3", "20260610", "R519"), created=CREATED
)
_SUBMISSION = professional_claim.Submission(
    *_PARTIES,
    professional_claim.Submitter("SYNTHETIC SERVICE", "S99", "5555550100"),
    "SYNTHETIC PAYER",
    professional_claim.BillingProvider(
        "SYNTHETIC CLINIC", "1234567893", "123456789",
        professional_claim.Address("1 QUILL STREET", "ANCHORAGE", "AK", "995010001"),
    ),
    _MEMBER,
    professional_claim.Address("2 QUILL STREET", "ANCHORAGE", "AK", "99501"),
    professional_claim.Claim(
        "CLAIM-77", ("R519",), (professional_claim.ServiceLine("99213", "125.00", "20260301", ""),)
    ),
    created=CREATED,
)  # fmt: skip
_FAMILY = replace(_SUBMISSION, member=replace(_MEMBER, birth_date="", gender=""), dependent=_CHILD)
_UUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
_FHIR_COVERED = b"""{"resourceType": "CoverageEligibilityResponse", "status": "active", "purpose": ["benefits"],
 "patient": {"display": "QUILLFEATHER"}, "created": "2026-06-01", "insurer": {"reference": "Organization/1"},
 "request": {"identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:%s"}}, "outcome": "complete",
 "insurance": [{"coverage": {"reference": "Coverage/1"}, "inforce": true}]}""" % _UUID.encode()
_FHIR_REFUSED = b"""{"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout",
 "expression": ["CoverageEligibilityRequest.insurer"], "diagnostics": "QUILLFEATHER"}]}"""
_SIP_OK = b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK7\r\nAllow: OPTIONS,\r\n INVITE\r\nl: 2\r\n\r\nok"
_BOUNDARY = "b-17"


@dataclass(frozen=True, slots=True)
class Target:
    """One parser. `run` raises only for a defect; `seeds` are messages that it reads without complaint."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def _read_x12(raw: bytes) -> None:
    try:
        interchange = x12.read(raw)
    except X12Error as error:
        _check_error(error, raw)
        return
    for transaction in interchange.transactions:
        for segment in transaction.segments:
            assert raw.startswith(segment.id.encode("latin-1"), segment.offset), segment


def _read_request(read: Callable[[bytes], object], raw: bytes) -> None:
    try:
        read(raw)
    except X12Error as error:
        _check_error(error, raw)
        reject(raw, error, sender="CLEARING", control_number=7, created=CREATED)


def _check_error(error: X12Error, raw: bytes) -> None:
    assert error.code
    assert 0 <= error.offset <= len(raw), error
    _check_silence(str(error))


def _read_answer(read: Callable[..., Observation], raw: bytes) -> None:
    observation = read(raw, trace=TRACE, control_number=42)
    _check_observation(observation)
    assert observation.findings or observation.facts["trn"] or observation.facts["set"]


def _read_fhir(raw: bytes) -> None:
    _check_observation(fhir_answer.read_answer(raw, fhir_answer.Asked(_UUID)))


def _read_sip(raw: bytes) -> None:
    """As a stream brings it, and as a datagram does."""
    try:
        sip.ends_final(bytearray(raw))
    except FramingError as error:
        _check_silence(str(error))
    try:
        sip.read_message(raw)
    except sip.SipError as error:
        _check_silence(str(error))


def _read_smtp(raw: bytes) -> None:
    try:
        end = smtp.ends(bytearray(raw))
    except FramingError as error:
        _check_silence(str(error))
        return
    if end is not None:
        assert 200 <= smtp.read_reply(raw[:end]).code <= 599


def _check_observation(observation: Observation) -> None:
    for finding in observation.findings:
        assert finding.code
        assert "/" in finding.place or finding.place == "outcome", finding
        _check_silence(finding.code + finding.place + finding.detail)
        assert not (finding.place.startswith("x12/") and finding.place[4:7] not in ("ST0", "GS0") and observation.facts)
    _check_silence(repr(dict(observation.facts)))


def _read_mime(raw: bytes) -> None:
    """The first line is the Content-Type header, unless there is none."""
    head, gap, body = raw.partition(b"\n")
    content_type = head.decode("latin-1") if gap else f"multipart/form-data; boundary={_BOUNDARY}"
    try:
        core_mime.read(content_type, body if gap else raw)
    except EnvelopeError as error:
        _check_envelope_error(error)


def _read_soap(raw: bytes) -> None:
    try:
        core_soap.read("application/soap+xml; charset=UTF-8", raw)
    except EnvelopeError as error:
        _check_envelope_error(error)


def _check_envelope_error(error: EnvelopeError) -> None:
    assert error.code
    assert error.place.startswith("envelope/"), error
    _check_silence(str(error))


def _parse_xml(raw: bytes) -> None:
    try:
        strict_xml.parse(raw)
    except strict_xml.XmlError as error:
        _check_silence(error.code + str(error))


def _check_silence(told: str) -> None:
    assert not any(word in told for word in PERSON), told


def _271(inquiry: eligibility.Inquiry, **said: object) -> bytes:
    return eligibility.write_response(inquiry, control_number=77, created=CREATED, **said)  # type: ignore[arg-type]


def _277(inquiry: claim_status.ClaimInquiry, *statuses: claim_status.ClaimStatus) -> bytes:
    return claim_status.write_response(inquiry, control_number=77, created=CREATED, statuses=statuses)


def _278(verdict: prior_authorization.Decision | prior_authorization.ReviewRejection) -> bytes:
    return prior_authorization.write_response(_REVIEW, control_number=77, created=CREATED, verdict=verdict)


def _acknowledgements() -> tuple[bytes, ...]:
    body = ("AK1*HS*42", "AK2*270*0001", "IK3*NM1*8**8", "IK4*9*67*7*W998877665", "IK5*R*5", "AK9*R*1*1*0")
    draft = x12.Draft("999", tuple(line.split("*") for line in body))
    write = partial(x12.write, sender="CLEARING", receiver="OUTRIDER", control_number=78, created=CREATED)
    ta1 = ["TA1", "000000042", "260601", "2215", "R", "024"]
    return write([draft], functional_id="FA", version="005010X231A1"), write([], acknowledgements=[ta1])


def _targets() -> Mapping[str, Target]:
    inquiries = tuple(map(eligibility.write_inquiry, (_INQUIRY, replace(_INQUIRY, dependent=_CHILD))))
    claims = tuple(map(claim_status.write_request, (_CLAIM, replace(_CLAIM, dependent=_CHILD))))
    reviews = tuple(map(prior_authorization.write_request, (_REVIEW, replace(_REVIEW, dependent=_CHILD))))
    benefits = (eligibility.Benefit("1", service_types=("30", "35")), eligibility.Benefit("B", amount="25"))
    covered = (
        _271(_INQUIRY, benefits=benefits),
        _271(replace(_INQUIRY, dependent=_CHILD), benefits=benefits),
        _271(_INQUIRY, rejections=[eligibility.Rejection("75", "2100C")]),
    )
    paid = claim_status.ClaimStatus("F1", "65", charged="125.00")
    told = (_277(_CLAIM, paid), _277(_CLAIM, claim_status.ClaimStatus("E1", loop="2200B")))
    decided = (
        _278(prior_authorization.Decision("A1", "AUTH-77")),
        _278(prior_authorization.ReviewRejection("72", "2010C")),
    )
    submissions = tuple(map(professional_claim.write_submission, (_SUBMISSION, _FAMILY)))
    verdicts = (
        professional_claim.ACCEPTED,
        professional_claim.Verdict("A7", "164", "2200C"),
        professional_claim.Verdict("E1", "0", "2200B"),
    )
    taken = tuple(
        professional_claim.write_response(_SUBMISSION, control_number=77, created=CREATED, verdict=verdict)
        for verdict in verdicts
    )
    acknowledged = _acknowledgements()
    spaced = tuple(raw.replace(b"~", b"~\r\n") for raw in covered)
    envelope = Envelope(
        core_mime.X12_270, "0b7a4a3e-6f0e-4f0a-9f67-0d1f6d6c1b11", "2026-06-01T22:00:00Z", "OUTRIDER", "CLEARING",
        inquiries[0], username="agent", password="not-secret",
    )  # fmt: skip
    answer = replace(envelope, error_code="Success", payload=covered[0], username="", password="")
    mime = [core_mime.write(each, boundary=_BOUNDARY) for each in (envelope, answer)]
    soap = (core_soap.write(envelope)[1], core_soap.write(answer)[1], core_soap.write_fault("Receiver", "because")[1])
    return {
        "x12": Target(_read_x12, (*inquiries, *covered, *spaced, *told, *decided, *acknowledged)),
        "270": Target(partial(_read_request, eligibility.read_inquiry), inquiries),
        "276": Target(partial(_read_request, claim_status.read_request), claims),
        "278-request": Target(partial(_read_request, prior_authorization.read_request), reviews),
        "271": Target(partial(_read_answer, eligibility.read_response), (*covered, *spaced, *acknowledged)),
        "277": Target(partial(_read_answer, claim_status.read_response), (*told, *acknowledged)),
        "278": Target(partial(_read_answer, prior_authorization.read_response), (*decided, *acknowledged)),
        "837": Target(partial(_read_request, professional_claim.read_submission), submissions),
        "277ca": Target(partial(_read_answer, partial(professional_claim.read_response, claim="CLAIM-77")), taken),
        "fhir": Target(_read_fhir, (_FHIR_COVERED, _FHIR_REFUSED)),
        "sip": Target(_read_sip, (_SIP_OK, b"OPTIONS sip:support@host.example SIP/2.0\r\nl: 0\r\n\r\n")),
        "smtp": Target(_read_smtp, (b"220 mail.example\r\n", b"250-mail.example\r\n250 STARTTLS\r\n")),
        "core-mime": Target(_read_mime, tuple(head.encode() + b"\n" + body for head, body in mime)),
        "core-soap": Target(_read_soap, soap),
        "strict-xml": Target(_parse_xml, soap),
    }


TARGETS = _targets()
