"""FHIR R4 eligibility: what is written, and what is made of every answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs.fhir_answer import MOST_VALUES, Asked, read_answer
from outrider.codecs.fhir_request import (
    Coverage,
    EligibilityRequest,
    Organization,
    Person,
    Reference,
    write_request,
)
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.codecs.strict_json import MOST_BYTES, JsonError, read_json
from outrider.core.outcome import Expected, Finding, Observation, OutcomeClass, classify

C = OutcomeClass
UUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
ASKED = Asked(UUID)
X12 = "https://codesystem.x12.org/005010/901"
HL7 = "http://terminology.hl7.org/CodeSystem/adjudication-error"
PATIENT = Person("QUILLFEATHER", "OTTOLINE", "1971-02-03", "W998877665", "female", "urn:test:members")
REQUEST = EligibilityRequest(
    identifier=UUID,
    created=datetime(2026, 6, 1, 22, tzinfo=UTC),
    serviced="2026-06-01",
    patient=PATIENT,
    insurer=Organization("TEST PAYER", "PAYER01"),
    coverage=Coverage("W998877665"),
    provider=Organization("TEST CLINIC", "1234567893", "http://hl7.org/fhir/sid/us-npi"),
)


def written(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(write_request(replace(REQUEST, **changes)))
    return made


# --- writing


def test_a_request_holds_what_r4_requires_and_its_identifier() -> None:
    made = written()
    assert made["resourceType"] == "CoverageEligibilityRequest"
    assert made["identifier"] == [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{UUID}"}]
    assert (made["status"], made["purpose"]) == ("active", ["benefits", "validation"])
    assert (made["created"], made["servicedDate"]) == ("2026-06-01T22:00:00Z", "2026-06-01")
    assert made["item"][0]["category"]["coding"][0]["code"] == "30"
    assert made["insurance"] == [{"focal": True, "coverage": {"reference": "#coverage"}}]


def test_everything_that_is_contained_is_referred_to_and_everything_referred_to_is_contained() -> None:
    made = written()
    text = json.dumps({key: value for key, value in made.items() if key != "contained"}) + json.dumps(made["contained"])
    ids = {each["id"] for each in made["contained"]}
    assert ids == {"patient", "insurer", "provider", "coverage"}
    assert {part.partition('"')[0] for part in text.split('"reference": "#')[1:]} == ids
    coverage = next(each for each in made["contained"] if each["id"] == "coverage")
    assert (coverage["beneficiary"], coverage["payor"]) == ({"reference": "#patient"}, [{"reference": "#insurer"}])


def test_the_patient_is_written_with_name_birth_date_and_member_id() -> None:
    patient = next(each for each in written()["contained"] if each["resourceType"] == "Patient")
    assert patient["name"] == [{"family": "QUILLFEATHER", "given": ["OTTOLINE"]}]
    assert (patient["birthDate"], patient["gender"]) == ("1971-02-03", "female")
    (identifier,) = patient["identifier"]
    assert (identifier["system"], identifier["value"]) == ("urn:test:members", "W998877665")
    assert identifier["type"]["coding"][0]["code"] == "MB"


def test_what_the_server_has_is_referred_to_and_not_contained() -> None:
    made = written(
        patient=Reference("Patient/1"),
        insurer=Reference("https://fhir.test/r4/Organization/2"),
        coverage=Reference("Coverage/3"),
        provider=None,
        categories=(),
    )
    assert "contained" not in made
    assert "provider" not in made
    assert "item" not in made
    assert made["patient"] == {"reference": "Patient/1"}
    assert made["insurer"] == {"reference": "https://fhir.test/r4/Organization/2"}
    assert made["insurance"][0]["coverage"] == {"reference": "Coverage/3"}


def test_an_instant_is_written_in_utc() -> None:
    assert written(created=datetime(2026, 6, 2, 1, tzinfo=timezone(timedelta(hours=3))))["created"] == (
        "2026-06-01T22:00:00Z"
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: Reference("Patient"),
        lambda: Reference("Patient/a b"),
        lambda: Reference("#patient"),
        lambda: Reference("file:///etc/passwd"),
        lambda: replace(PATIENT, birth_date="19710203"),
        lambda: replace(PATIENT, birth_date="1971-02-30"),
        lambda: replace(PATIENT, last=" "),
        lambda: replace(PATIENT, first="A\nB"),
        lambda: replace(PATIENT, member_id=""),
        lambda: Organization("", "1"),
        lambda: Coverage("\ud800"),
        lambda: replace(REQUEST, purpose=()),
        lambda: replace(REQUEST, purpose=("benefit",)),
        lambda: replace(REQUEST, serviced="today"),
        lambda: replace(REQUEST, categories=("",)),
        lambda: replace(REQUEST, created=datetime(2026, 6, 1)),  # noqa: DTZ001
    ],
)
def test_what_fhir_cannot_carry_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError) as refused:
        make()
    assert "QUILLFEATHER" not in str(refused.value)


# --- answers


def response(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "CoverageEligibilityResponse",
        "status": "active",
        "purpose": ["benefits"],
        "patient": {"reference": "Patient/1"},
        "created": "2026-06-01",
        "request": {"identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{UUID}"}},
        "outcome": "complete",
        "insurer": {"reference": "Organization/2"},
        "insurance": [
            {
                "coverage": {"reference": "Coverage/3"},
                "inforce": True,
                "item": [
                    {
                        "category": {"coding": [{"code": "30"}]},
                        "excluded": False,
                        "authorizationRequired": False,
                        "benefit": [
                            {"type": {"coding": [{"code": "benefit"}]}, "allowedMoney": {"value": 500}},
                            {"type": {"coding": [{"code": "deductible"}]}, "allowedString": "x"},
                        ],
                    },
                    {"category": {"coding": [{"code": "35"}]}, "excluded": True},
                ],
            }
        ],
        **changes,
    }
    return {key: value for key, value in made.items() if value is not ...}


def read(value: object, asked: Asked = ASKED) -> Observation:
    return read_answer(json.dumps(value).encode(), asked)


def places(observation: Observation) -> list[tuple[str, str]]:
    return [(finding.code, finding.place) for finding in observation.findings]


def test_a_complete_answer_is_read_into_facts() -> None:
    seen = read(response())
    assert seen.findings == ()
    assert seen.facts == {
        "resource": ("CoverageEligibilityResponse",),
        "outcome": ("complete",),
        "inforce": ("true",),
        "category": ("30", "35"),
        "excluded": ("false", "true"),
        "benefit": ("benefit", "deductible"),
        "authorization_required": ("false",),
    }


def error(code: str, system: str = X12) -> dict[str, Any]:
    return {"code": {"coding": [{"system": system, "code": code}]}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"outcome": "error", "error": [error("42")]}, [("42", "error/x12")]),
        ({"outcome": "error", "error": [error("75"), error("a001", HL7)]},
         [("75", "error/x12"), ("a001", "error/hl7")]),
        ({"outcome": "error", "error": [error("NO", "urn:other")]}, [("NO", "error/other")]),
        ({"outcome": "error", "error": [{"code": {"text": "no"}}]}, [("uncoded", "error/none")]),
        ({"outcome": "error", "error": [error("Jane Roe, born 1971")]}, [("unreadable", "error/x12")]),
        ({"outcome": "complete", "error": [error("80")]}, [("80", "error/x12")]),
        ({"error": [{"code": {"coding": [{"code": "x", "system": "urn:o"}, {"code": "42", "system": X12}]}}]},
         [("42", "error/x12")]),
        ({"outcome": "queued"}, [("queued", "outcome")]),
        ({"outcome": "partial"}, [("partial", "outcome")]),
        ({"outcome": "error"}, [("error", "outcome")]),
        ({"status": "entered-in-error"}, [("entered-in-error", "fhir/status")]),
        ({"status": "draft"}, [("draft", "fhir/status")]),
        ({"purpose": []}, [("missing", "fhir/purpose")]),
        ({"outcome": ...}, [("missing", "fhir/outcome")]),
        ({"outcome": "done"}, [("invalid", "fhir/outcome")]),
        ({"outcome": None}, [("invalid", "fhir/outcome")]),
        ({"insurer": ...}, [("missing", "fhir/insurer")]),
        ({"request": ...}, [("missing", "fhir/request")]),
        ({"insurance": [{"inforce": True}]}, [("missing", "fhir/insurance[0].coverage")]),
        ({"insurance": [{"coverage": {}, "inforce": "true"}]}, [("invalid", "fhir/insurance[0].inforce")]),
        ({"insurance": [{"coverage": {}, "inforce": None}]}, [("invalid", "fhir/insurance[0].inforce")]),
        ({"insurance": {}}, [("invalid", "fhir/insurance")]),
        ({"insurance": [{"coverage": {}, "item": [{"benefit": [{}]}]}]},
         [("missing", "fhir/insurance[0].item[0].benefit[0].type")]),
        ({"resourceType": "CoverageEligibilityRequest"}, [("wrong-resource", "fhir/resourceType")]),
        ({"resourceType": 5}, [("wrong-resource", "fhir/resourceType")]),
        ({"resourceType": "Jane Roe"}, [("wrong-resource", "fhir/resourceType")]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_answer_is_told_with_its_place(
    changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    seen = read(response(**changes))
    assert places(seen) == expected
    assert "Jane Roe" not in repr(seen.findings)


REQUEST_ID = f"CoverageEligibilityRequest/{UUID}"
OURS = {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{UUID}"}


def containing(**changes: Any) -> dict[str, Any]:
    made = {"resourceType": "CoverageEligibilityRequest", "id": "r", "identifier": [OURS], **changes}
    return response(request={"reference": "#r"}, contained=[{"resourceType": "Patient", "id": "p"}, made])


@pytest.mark.parametrize(
    "answer",
    [
        response(request={"identifier": OURS, "reference": "CoverageEligibilityRequest/9"}),
        response(request={"identifier": {**OURS, "value": OURS["value"].upper()}}),
        response(request={"reference": f"urn:uuid:{UUID}"}),
        response(request={"reference": REQUEST_ID}),
        response(request={"reference": f"https://fhir.test/r4/{REQUEST_ID}/_history/1"}),
        containing(),
    ],
)
def test_an_answer_that_names_our_request_is_ours(answer: dict[str, Any]) -> None:
    assert read(answer).findings == ()


@pytest.mark.parametrize(
    "answer",
    [
        response(request={}),
        response(request={"reference": "CoverageEligibilityRequest/9"}),
        response(request={"reference": f"Claim/{UUID}"}),
        response(request={"reference": f"{REQUEST_ID}0"}),
        response(request={"reference": "#r"}),
        response(request={"identifier": {"value": OURS["value"]}}),
        response(request={"identifier": {"system": "urn:other", "value": OURS["value"]}}),
        response(request={"identifier": {**OURS, "value": OURS["value"].replace("f81d", "f81e")}}),
        containing(id="s"),
        containing(identifier=[{**OURS, "value": "urn:uuid:0"}]),
        containing(resourceType="Claim"),
    ],
)
def test_an_answer_that_names_another_request_or_none_is_somebody_elses(answer: dict[str, Any]) -> None:
    assert places(read(answer)) == [("mismatch", "echo/request")]


@pytest.mark.parametrize(
    ("reference", "location", "is_ours"),
    [
        ("CoverageEligibilityRequest/9", "https://fhir.test/CoverageEligibilityRequest/9/_history/1", True),
        ("https://fhir.test/CoverageEligibilityRequest/9", "CoverageEligibilityRequest/9", True),
        ("CoverageEligibilityRequest/9", "https://fhir.test/CoverageEligibilityRequest/90", False),
        ("CoverageEligibilityRequest/9", "https://fhir.test/CoverageEligibilityResponse/9", False),
        ("CoverageEligibilityRequest/9", "", False),
    ],
)
def test_a_location_counts_where_it_names_the_same_request(reference: str, location: str, is_ours: bool) -> None:
    seen = read(response(request={"reference": reference}), Asked(UUID, location))
    assert (seen.findings == ()) is is_ours


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (bundle({"resourceType": "Patient"}, response()), []),
        (bundle(response(), response()), [("several", "fhir/Bundle")]),
        (bundle({"resourceType": "Patient"}), [("missing", "fhir/Bundle")]),
        (bundle(), [("missing", "fhir/Bundle")]),
        (bundle({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}),
         [("timeout", "issue/whole")]),
        (bundle(bundle(response())), [("missing", "fhir/Bundle")]),
        ({"resourceType": "Bundle", "entry": {}}, [("invalid", "fhir/entry")]),
    ],
)  # fmt: skip
def test_an_answer_in_a_bundle_is_taken_out_of_it(answer: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert places(read(answer)) == expected


def outcome(*issues: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": list(issues)}


def issue(code: str, *expression: str, severity: str = "error") -> dict[str, Any]:
    return {"severity": severity, "code": code, "diagnostics": "Jane Roe", "expression": list(expression)}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (outcome(issue("timeout")), [("timeout", "issue/whole")]),
        (outcome(issue("required", "CoverageEligibilityRequest.insurance[0].coverage")),
         [("required", "issue/insurance.coverage")]),
        (outcome(issue("required", "insurer")), [("required", "issue/insurer")]),
        (outcome(issue("required", "Jane Roe.where(x)")), [("required", "issue/whole")]),
        (outcome(issue("value", "CoverageEligibilityRequest")), [("value", "issue/whole")]),
        (outcome(issue("information", severity="information"), issue("not-found", "patient", severity="fatal")),
         [("not-found", "issue/patient")]),
        (outcome(issue("informational", severity="warning")), [("wrong-resource", "fhir/resourceType")]),
        (outcome(issue("Jane Roe")), [("unreadable", "issue/whole")]),
        (outcome(), [("wrong-resource", "fhir/resourceType")]),
        (outcome({"severity": "bad", "code": "x"}), [("invalid", "fhir/issue[0].severity")]),
        ({"resourceType": "OperationOutcome"}, [("missing", "fhir/issue")]),
    ],
)  # fmt: skip
def test_an_operation_outcome_is_read_by_severity_code_and_place(
    answer: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    seen = read(answer)
    assert places(seen) == expected
    assert "Jane Roe" not in repr(seen.findings)


@pytest.mark.parametrize(
    ("code", "place", "expected"),
    [
        ("login", "whole", C.PROBE_FAULT),
        ("forbidden", "whole", C.PROBE_FAULT),
        ("security", "whole", C.PROBE_FAULT),
        ("expired", "whole", C.PROBE_FAULT),
        ("invalid", "insurer", C.PROBE_FAULT),
        ("structure", "whole", C.PROBE_FAULT),
        ("required", "insurance.coverage", C.PROBE_FAULT),
        ("not-supported", "whole", C.PROBE_FAULT),
        ("transient", "whole", C.SERVICE_DOWN),
        ("timeout", "whole", C.SERVICE_DOWN),
        ("timeout", "insurer", C.PARTNER_DOWN),
        ("exception", "whole", C.SERVICE_DOWN),
        ("no-store", "insurer", C.PARTNER_DOWN),
        ("lock-error", "patient", C.SERVICE_DOWN),
        ("throttled", "whole", C.THROTTLED),
        ("throttled", "insurer", C.THROTTLED),
        ("not-found", "patient", C.BUSINESS_UNEXPECTED),
        ("not-found", "insurer", C.BUSINESS_UNEXPECTED),
        ("business-rule", "whole", C.BUSINESS_UNEXPECTED),
        ("processing", "whole", C.BUSINESS_UNEXPECTED),
        ("made-up", "whole", C.MALFORMED),
        ("unreadable", "insurer", C.MALFORMED),
    ],
)
def test_an_issue_is_classified_by_code_and_place(code: str, place: str, expected: OutcomeClass) -> None:
    assert classify((), Observation((Finding(code, f"issue/{place}"),)), OUTCOME_TABLE).outcome is expected


@pytest.mark.parametrize(
    ("code", "place", "expected"),
    [
        ("42", "error/x12", C.PARTNER_DOWN),
        ("80", "error/x12", C.PARTNER_DOWN),
        ("41", "error/x12", C.PROBE_FAULT),
        ("43", "error/x12", C.PROBE_FAULT),
        ("51", "error/x12", C.PROBE_FAULT),
        ("75", "error/x12", C.BUSINESS_UNEXPECTED),
        ("42", "error/other", C.BUSINESS_UNEXPECTED),
        ("a001", "error/hl7", C.PROBE_FAULT),
        ("uncoded", "error/none", C.MALFORMED),
        ("queued", "outcome", C.BUSINESS_UNEXPECTED),
        ("partial", "outcome", C.BUSINESS_UNEXPECTED),
        ("error", "outcome", C.MALFORMED),
        ("missing", "fhir/outcome", C.MALFORMED),
        ("mismatch", "echo/request", C.MALFORMED),
    ],
)
def test_an_error_of_an_answer_is_classified_by_code_and_system(code: str, place: str, expected: OutcomeClass) -> None:
    assert classify((), Observation((Finding(code, place),)), OUTCOME_TABLE).outcome is expected


def test_an_expected_error_is_ok_and_one_that_does_not_come_is_unexpected() -> None:
    wanted = [Expected("error", ("75",))]
    assert classify(wanted, read(response(outcome="error", error=[error("75")])), OUTCOME_TABLE).is_ok
    missed = classify(wanted, read(response()), OUTCOME_TABLE)
    assert (missed.outcome, missed.place) == (C.BUSINESS_UNEXPECTED, "expect/error")


# --- bad input


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "not-json"),
        (b"<html></html>", "not-json"),
        (json.dumps(response()).encode()[:-40], "not-json"),
        (b'{"resourceType": NaN}', "not-json"),
        (b"1" * 5000, "not-json"),
        (b'{"a": 1, "a": 1}', "twice"),
        (b'{"text": {"div": {"b": 1, "b": 2}}}', "twice"),
        (b'{"a": "\xff"}', "not-utf-8"),
        ("\ufeff{}".encode(), "not-json"),
        (json.dumps(response()).encode("utf-16"), "not-utf-8"),
        (b"[" * 200_000, "too-deep"),
        (b'{"a":' * 200_000, "too-deep"),
        (b" " * (MOST_BYTES + 1), "too-long"),
    ],
)
def test_what_is_no_json_that_can_be_trusted_is_told(raw: bytes, code: str) -> None:
    (finding,) = read_answer(raw, ASKED).findings
    assert (finding.code, finding.place) == (code, "body/json")
    with pytest.raises(JsonError):
        read_json(raw)


def test_no_more_values_and_findings_are_kept_than_there_is_room_for() -> None:
    many = [{"coverage": {}, "inforce": True} for _ in range(5 * MOST_VALUES)]
    seen = read(response(insurance=many, error=[error("42")] * 500))
    assert len(seen.facts["inforce"]) == MOST_VALUES
    assert len(seen.findings) == 20
    assert (
        max(len(value) for values in read(response(error=[error("x" * 5000)])).facts.values() for value in values)
        <= 100
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*response(), "item", "x"]), inner),
    max_leaves=20,
)


def sane(seen: Observation) -> None:
    assert seen.findings or seen.facts.get("outcome")
    assert len(seen.findings) <= 20
    for finding in seen.findings:
        assert len(finding.place) <= 300
        assert len(finding.code) <= 100
        assert finding.place.isprintable()


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_any_json_at_all_is_read_without_an_exception(value: object) -> None:
    sane(read(value))


@given(st.sampled_from(sorted(response())), VALUES)
@settings(max_examples=200, deadline=None)
def test_an_answer_with_anything_in_one_of_its_elements_is_read_without_an_exception(key: str, value: object) -> None:
    sane(read(response(**{key: value})))


@given(st.binary(max_size=20), st.integers(0, 2000), st.integers(0, 30))
@settings(max_examples=200, deadline=None)
def test_an_answer_with_bytes_changed_or_cut_is_read_without_an_exception(what: bytes, at: int, skip: int) -> None:
    whole = json.dumps(response()).encode()
    sane(read_answer(whole[:at] + what + whole[at + skip :], ASKED))
    sane(read_answer(whole[:at], ASKED)) if at < len(whole) else None
