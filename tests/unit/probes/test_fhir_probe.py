"""The fhir probe: what a step may say, what goes over the wire, and what status and body mean together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.commands.dry_run import requests
from outrider.config import load_scenario
from outrider.core.outcome import Expected, Finding, Observation, OutcomeClass, classify
from outrider.core.timetable import Timetable
from outrider.core.units import MINUTE, SECOND
from outrider.execution import Check
from outrider.hygiene import private_values
from outrider.probes import Prepared, Target
from outrider.probes.table import PROBES
from outrider.redact import MASK, Redactor
from outrider.resources import shipped
from outrider.strict_yaml import ConfigError
from outrider.transport import HttpReply

C = OutcomeClass
FHIR = PROBES["fhir"]
UUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
DRAWN = {"uuid": UUID, "now": "2026-06-01T22:00:00Z", "today": "2026-06-02"}
TARGET = Target("network", "https://network.test/fhir", (("Authorization", "Bearer x"),))
REQUEST: Mapping[str, Any] = {
    "patient": {"last": "QUILLFEATHER", "first": "OTTOLINE", "id": "W998877665", "birth_date": "1971-02-03"},
    "insurer": {"name": "TEST PAYER", "id": "PAYER01"},
    "provider": {"name": "TEST CLINIC", "id": "1234567893"},
}


def prepared(**changes: Any) -> Prepared:
    request = {**REQUEST, **changes}
    FHIR.check(request)
    return FHIR.prepare(request, TARGET, DRAWN.__getitem__)


def sent(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(prepared(**changes).request.body)
    return found


# --- what is sent


def test_a_request_is_posted_to_its_type_with_the_targets_headers() -> None:
    request = prepared().request
    assert (request.method, request.url) == ("POST", "https://network.test/fhir/CoverageEligibilityRequest")
    headers = dict(request.headers)
    assert headers["Content-Type"] == headers["Accept"] == "application/fhir+json"
    assert headers["Authorization"] == "Bearer x"


def test_a_request_can_go_to_the_operation() -> None:
    request = prepared(path="/CoverageEligibilityRequest/$submit").request
    assert request.url == "https://network.test/fhir/CoverageEligibilityRequest/$submit"


def test_what_a_step_leaves_out_is_drawn_or_usual() -> None:
    made = sent()
    assert made["identifier"][0]["value"] == f"urn:uuid:{UUID}"
    assert (made["servicedDate"], made["purpose"]) == ("2026-06-02", ["benefits", "validation"])
    contained = {each["id"]: each for each in made["contained"]}
    assert contained["provider"]["identifier"] == [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}]
    assert contained["coverage"]["subscriberId"] == "W998877665"
    assert contained["coverage"]["relationship"]["coding"][0]["code"] == "self"


def test_what_a_step_says_is_sent() -> None:
    made = sent(
        purpose=["discovery"],
        categories=["35", "F6"],
        category_system="urn:test:categories",
        service_date="2026-01-31",
        coverage={"subscriber_id": "W1", "relationship": "child"},
        insurer={"reference": "Organization/7"},
    )
    assert (made["purpose"], made["servicedDate"]) == (["discovery"], "2026-01-31")
    assert [item["category"]["coding"][0] for item in made["item"]] == [
        {"system": "urn:test:categories", "code": "35"},
        {"system": "urn:test:categories", "code": "F6"},
    ]
    assert made["insurer"] == {"reference": "Organization/7"}
    coverage = next(each for each in made["contained"] if each["id"] == "coverage")
    assert (coverage["subscriberId"], coverage["payor"]) == ("W1", [{"reference": "Organization/7"}])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"patient": {"reference": "Patient/1", "last": "X"}},
            "patient has a reference and last; it is one or the other",
        ),
        ({"patient": {"last": "X"}}, "patient lacks first, or a reference"),
        ({"insurer": {"name": "X"}}, "insurer lacks id, or a reference"),
        ({"provider": {}}, "provider lacks name, or a reference"),
        ({"coverage": {"reference": "Coverage/1", "subscriber_id": "x"}}, "coverage has a reference and subscriber_id"),
        ({"patient": {"reference": "Patient/1"}}, "a patient by reference needs a coverage"),
        ({"purpose": []}, "purpose is empty"),
        ({"purpose": ["benefit"]}, "Invalid enum value 'benefit'"),
        ({"match": "anything"}, "Invalid enum value 'anything'"),
        ({"pattient": {}}, "unknown field `pattient`"),
    ],
)
def test_a_step_that_can_never_be_sent_does_not_load(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as refused:
        FHIR.check({**REQUEST, **changes})
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"patient": {**REQUEST["patient"], "birth_date": "19710203"}},
        {"patient": {**REQUEST["patient"], "last": "A\nB"}},
        {"service_date": "tomorrow"},
        {"insurer": {"reference": "nowhere"}},
        {"categories": [""]},
    ],
)
def test_what_only_a_rendered_request_shows_is_refused_before_it_is_sent(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        prepared(**changes)


def test_each_request_has_an_identifier_of_its_own() -> None:
    drawn = iter(["one", "two"])
    values = [
        FHIR.prepare(REQUEST, TARGET, lambda name: next(drawn) if name == "uuid" else DRAWN[name]).sent["identifier"]
        for _ in range(2)
    ]
    assert values == ["one", "two"]


# --- what comes back


def answer(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "CoverageEligibilityResponse",
        "status": "active",
        "purpose": ["benefits"],
        "patient": {},
        "created": "2026-06-01",
        "request": {"identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{UUID}"}},
        "outcome": "complete",
        "insurer": {},
        "insurance": [{"coverage": {}, "inforce": True}],
        **changes,
    }


def trouble(code: str, expression: str = "", severity: str = "error") -> dict[str, Any]:
    issue = {"severity": severity, "code": code, **({"expression": [expression]} if expression else {})}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


ON_INSURER = "CoverageEligibilityRequest.insurer"
WRONG = (C.MALFORMED, "wrong-resource", "fhir/resourceType")


def reply(status: int, body: object, kind: str = "application/fhir+json; charset=utf-8", **headers: str) -> HttpReply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpReply(status, (("Content-Type", kind), *headers.items()), raw)


def classified(seen: Observation, **expect: str) -> tuple[OutcomeClass, str, str]:
    outcome = classify([Expected(name, (value,)) for name, value in expect.items()], seen, OUTCOME_TABLE)
    return outcome.outcome, outcome.code, outcome.place


@pytest.mark.parametrize(
    ("back", "expected"),
    [
        (reply(200, answer()), (C.OK, "", "")),
        (reply(201, answer()), (C.OK, "", "")),
        (reply(200, answer(), "application/json"), (C.OK, "", "")),
        (reply(200, b"<html>", "text/html"), (C.MALFORMED, "not-fhir", "body/type")),
        (reply(200, answer(), "application/fhir+xml"), (C.MALFORMED, "not-fhir", "body/type")),
        (reply(201, b"", "text/plain"), (C.MALFORMED, "empty", "body/size")),
        (reply(202, b""), (C.MALFORMED, "empty", "body/size")),
        (reply(201, {"resourceType": "CoverageEligibilityRequest"}), WRONG),
        (reply(200, b'{"resourceType"'), (C.MALFORMED, "not-json", "body/json")),
        (reply(200, answer(request={})), (C.MALFORMED, "mismatch", "echo/request")),
        (reply(200, answer(outcome="queued", insurance=[])), (C.BUSINESS_UNEXPECTED, "queued", "outcome")),
        (reply(200, trouble("timeout", ON_INSURER)), (C.PARTNER_DOWN, "timeout", "issue/insurer")),
        (reply(200, trouble("informational", severity="information")), WRONG),
        (reply(400, trouble("structure")), (C.PROBE_FAULT, "structure", "issue/whole")),
        (reply(404, trouble("not-found", "CoverageEligibilityRequest.patient")),
         (C.BUSINESS_UNEXPECTED, "not-found", "issue/patient")),
        (reply(422, trouble("business-rule")), (C.BUSINESS_UNEXPECTED, "business-rule", "issue/whole")),
        (reply(422, trouble("timeout", ON_INSURER)), (C.PARTNER_DOWN, "timeout", "issue/insurer")),
        (reply(422, trouble("informational", severity="warning")), (C.MALFORMED, "422", "status")),
        (reply(422, b"{"), (C.MALFORMED, "422", "status")),
        (reply(422, b"<html>", "text/html"), (C.MALFORMED, "422", "status")),
        (reply(422, b""), (C.MALFORMED, "422", "status")),
        (reply(401, trouble("business-rule")), (C.PROBE_FAULT, "401", "status")),
        (reply(403, trouble("not-found")), (C.PROBE_FAULT, "403", "status")),
        (reply(429, trouble("exception")), (C.THROTTLED, "429", "status")),
        (reply(500, trouble("exception")), (C.SERVICE_DOWN, "exception", "issue/whole")),
        (reply(503, trouble("throttled")), (C.THROTTLED, "throttled", "issue/whole")),
        (reply(504, trouble("timeout", "insurer")), (C.PARTNER_DOWN, "timeout", "issue/insurer")),
        (reply(500, trouble("required")), (C.SERVICE_DOWN, "500", "status")),
        (reply(500, trouble("business-rule")), (C.SERVICE_DOWN, "500", "status")),
        (reply(500, answer()), (C.SERVICE_DOWN, "500", "status")),
        (reply(302, trouble("not-found")), (C.MALFORMED, "302", "status")),
    ],
)  # fmt: skip
def test_status_and_body_are_classified_together(back: HttpReply, expected: tuple[OutcomeClass, str, str]) -> None:
    assert classified(FHIR.read(prepared(), back)) == expected


def test_the_status_is_a_fact_beside_those_of_the_answer() -> None:
    seen = FHIR.read(prepared(), reply(201, answer()))
    assert (seen.facts["status"], seen.facts["inforce"], seen.facts["outcome"]) == (("201",), ("true",), ("complete",))
    assert classified(seen, inforce="false")[::2] == (C.BUSINESS_UNEXPECTED, "expect/inforce")


def test_an_issue_that_was_expected_is_ok_whatever_its_status() -> None:
    seen = FHIR.read(prepared(), reply(404, trouble("not-found")))
    assert classified(seen, issue="not-found")[0] is C.OK


@pytest.mark.parametrize(("match", "outcome"), [("identifier", C.MALFORMED), ("location", C.OK)])
def test_a_location_counts_only_where_the_step_says_so(match: str, outcome: OutcomeClass) -> None:
    body = answer(request={"reference": "CoverageEligibilityRequest/9"})
    back = reply(201, body, Location="https://network.test/fhir/CoverageEligibilityRequest/9/_history/1")
    assert classified(FHIR.read(prepared(match=match), back))[0] is outcome


def test_no_detail_repeats_what_the_answer_says() -> None:
    secret = "QUILLFEATHER"
    bodies = [
        answer(outcome=secret),
        answer(disposition=secret, outcome="error"),
        {**trouble("timeout"), "text": secret},
        {"resourceType": f"{secret} {secret}"},
        answer(error=[{"code": {"coding": [{"code": f"{secret}, OTTOLINE"}]}}]),
    ]
    for body in bodies:
        for status in (200, 422, 500):
            findings: tuple[Finding, ...] = FHIR.read(prepared(), reply(status, body)).findings
            assert findings
            assert secret not in repr(findings)


# --- hygiene, dry run, redaction

NAME = "fhir-eligibility"
SCENARIO = (shipped("scenarios") / f"{NAME}.yaml").read_text(encoding="utf-8")


def loaded(tmp_path: Path, old: str = "", new: str = "") -> Any:
    assert old in SCENARIO
    path = tmp_path / f"{NAME}.yaml"
    path.write_text(SCENARIO.replace(old, new) if old else SCENARIO, encoding="utf-8")
    return load_scenario(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"1234567893"', '"1234567890"', "this is not an NPI"),
        ('"1234567893"', '"1234567890", system: "http://hl7.org/fhir/sid/us-npi"', "this is not an NPI"),
        ("id: OUTPAYER01", 'id: "1234567890", system: "http://hl7.org/fhir/sid/us-npi"', "this is not an NPI"),
        ("OUT100000001", '"4916123456789010"', "is a card number"),
        ("synthetic: true", "synthetic: false", "a scenario must say"),
        ("insurer:", "insurrer:", "unknown key 'insurrer'"),
    ],
)
def test_what_breaks_a_rule_does_not_load(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, old, new)
    assert message in refused.value.message
    assert refused.value.line > 2


def test_an_id_of_another_system_need_not_be_an_npi(tmp_path: Path) -> None:
    assert loaded(tmp_path, '"1234567893"', 'A-7, system: "urn:test:clinics"')


def test_an_npi_in_a_fhir_body_that_is_posted_by_hand_is_checked_too(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    head = "name: x\ntitle: X\nsynthetic: true\nprobe: http\nsteps:\n  - name: one\n    request:\n      path: /\n"
    identifier = '{ system: "http://hl7.org/fhir/sid/us-npi", value: "%s" }'
    for number, is_right in (("1234567893", True), ("1234567890", False)):
        path.write_text(f"{head}      json: {{ identifier: [ {identifier % number} ] }}\n", encoding="utf-8")
        if is_right:
            load_scenario(path)
        else:
            with pytest.raises(ConfigError, match="this is not an NPI"):
                load_scenario(path)


def test_people_are_private_and_a_dry_run_shows_none_of_them(tmp_path: Path) -> None:
    scenario = loaded(tmp_path)
    assert {"TESTONE", "OUT100000001", "1970-01-01"} <= set(private_values(scenario))
    check = Check(NAME, scenario, TARGET, Timetable("r", NAME, MINUTE), 10 * SECOND)
    (shown,) = requests(check, DRAWN.__getitem__, frozenset(("Bearer x",)))
    assert not shown.why_not
    assert f"urn:uuid:{UUID}" in shown.sent
    assert f'"given":["{MASK}"]' in shown.sent or f'"given":"{MASK}"' in shown.sent
    for private in ("TESTONE", "OUT100000001", "1970-01-01", "Bearer"):
        assert private not in shown.sent


@pytest.mark.parametrize(
    "text",
    [
        '{"name":[{"family":"QUILLFEATHER","given":["OTTOLINE","MAE"]}],"birthDate":"1971-02-03"}',
        '{ "birthDate" : "1971-02-03", "family" : "QUILLFEATHER" , "given" : [ "OTTOLINE" ] }',
        '{"body": "{\\"family\\": \\"QUILLFEATHER\\", \\"birthDate\\": \\"1971-02-03\\"}"}',
        '{"subscriberId":"W998877665","status":"active"}',
        '{"identifier":[{"type":{"coding":[{"system":"urn:v2","code":"MB"}]},"system":"urn:m","value":"W998877665"}]}',
        '{"type": {"coding": [{"code": "SS", "display": "x"}], "text": "y"}, "value": "W998877665"}',
    ],
)
def test_people_in_fhir_json_that_nobody_told_of_are_masked(text: str) -> None:
    shown = Redactor().text(text)
    for private in ("QUILLFEATHER", "OTTOLINE", "MAE", "1971-02-03", "W998877665"):
        assert private not in shown
    assert Redactor().text(shown) == shown


def test_what_is_no_person_in_fhir_json_stays() -> None:
    body = prepared().request.body.decode()
    shown = Redactor().text(body)
    for kept in (f"urn:uuid:{UUID}", "1234567893", "PAYER01", "TEST CLINIC", '"code":"30"', "2026-06-02"):
        assert kept in shown
    for private in ("QUILLFEATHER", "OTTOLINE", "1971-02-03", "W998877665"):
        assert private not in shown
    json.loads(shown)
