"""The clearinghouse over FHIR R4: POST /fhir/CoverageEligibilityRequest (201), and its operation $submit (200).

Rules
-----
1. What cannot be read is refused with an OperationOutcome that names the element: 415 for another content type, 400 for
   no JSON or a wrong structure, 401 for credentials (HTTP Basic), 422 for codes and references that mean nothing here.
2. Patient, insurer, provider and coverage have to be contained in the request: this server keeps none of them.
3. The members are the clearinghouse's own (`members`). What is an AAA there is an error of the answer
   here, with X12's code; a member who is not covered is in force no longer, or has the category excluded.
4. The answer names the request by its identifiers and by its place on this server.

Sources: HL7 FHIR R4 (4.0.1), CoverageEligibilityRequest, CoverageEligibilityResponse, OperationOutcome.
"""

from __future__ import annotations

import hmac
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiohttp import web

from outrider.codecs.eligibility import Benefit, Rejection
from outrider_sandbox.answers import Answer, Refusal, read_json
from outrider_sandbox.clearinghouse.basic import knows_basic
from outrider_sandbox.clearinghouse.fhir_reading import Asked, FhirError, read_request
from outrider_sandbox.clearinghouse.members import judge
from outrider_sandbox.clearinghouse.rooms import COMPONENT
from outrider_sandbox.line import Call, Line
from outrider_sandbox.settings import Settings

FHIR_JSON = "application/fhir+json"
_PATH = "/fhir/CoverageEligibilityRequest"
_REASONS = "https://codesystem.x12.org/005010/901"
_HL7_ERRORS = "http://terminology.hl7.org/CodeSystem/adjudication-error"
_BENEFITS = "http://terminology.hl7.org/CodeSystem/benefit-type"
_BENEFIT_TYPES: Mapping[str, str] = {"1": "benefit", "C": "deductible"}


class FhirFacade:
    """The room. `nonce` makes its identifiers unlike those of any other start."""

    def __init__(self, settings: Settings, now: Callable[[], datetime], nonce: bytes) -> None:
        self._settings = settings
        self._now = now
        self._nonce = nonce
        self._made = 0

    def add_to(self, router: web.UrlDispatcher, line: Line) -> None:
        router.add_post(_PATH, line.attach(COMPONENT, "realtime", partial(self._answer, 201)))
        router.add_post(f"{_PATH}/$submit", line.attach(COMPONENT, "realtime", partial(self._answer, 200)))

    def _answer(self, http: int, call: Call) -> Answer:
        try:
            asked = self._read(call)
        except FhirError as error:
            return self._refusal(error)
        if issue := call.drawn.take("fhir_issue"):
            place = issue.fault.text("place")
            return self._refusal(FhirError(issue.fault.number("http"), issue.fault.text("code"), place, "dialled in"))
        identifier = self._next_id()
        if call.drawn.take("wrong_request"):
            identifier = self._next_id()
            asked = replace(asked, identifiers=({"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{identifier}"},))
        located = {"Location": f"/fhir/CoverageEligibilityRequest/{identifier}/_history/1"} if http == 201 else {}
        return _json_answer(http, self._response(asked, identifier, call), located)

    def _read(self, call: Call) -> Asked:
        if call.request.content_type not in (FHIR_JSON, "application/json"):
            raise FhirError(415, "not-supported", "whole", f"Content-Type is not {FHIR_JSON}")
        given = call.request.headers.get("Authorization", "")
        if self._settings.core_username and not knows_basic(given, self._settings):
            raise FhirError(401, "login", "whole", "the credentials (HTTP Basic) are not the ones agreed on")
        try:
            body = read_json(call.body)
        except Refusal as refusal:
            raise FhirError(400, "structure", "whole", refusal.message) from None
        return read_request(body, self._now())

    def _refusal(self, error: FhirError) -> Answer:
        element = "" if error.place == "whole" else f".{error.place}"
        issue = {
            "severity": "error",
            "code": error.code,
            "diagnostics": error.message,
            "expression": [f"CoverageEligibilityRequest{element}"],
        }
        challenge = {"WWW-Authenticate": 'Basic realm="outrider-sandbox"'} if error.http == 401 else {}
        return _json_answer(error.http, {"resourceType": "OperationOutcome", "issue": [issue]}, challenge)

    def _response(self, asked: Asked, identifier: str, call: Call) -> dict[str, Any]:
        judgement = judge(asked.inquiry)
        benefits, errors = judgement.benefits, _errors(judgement.rejection)
        if error := call.drawn.take("fhir_error"):
            benefits, errors = (), [_error(error.fault.text("code"))]
        outcome = "error" if errors else "complete"
        if dialled := call.drawn.take("fhir_outcome"):
            outcome, errors, benefits = dialled.fault.text("outcome"), [], ()
        return {
            "resourceType": "CoverageEligibilityResponse",
            "id": self._next_id(),
            "status": "active",
            "purpose": list(asked.purpose),
            "patient": asked.patient,
            "servicedDate": asked.serviced,
            "created": self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "request": {
                "reference": f"CoverageEligibilityRequest/{identifier}",
                **({"identifier": asked.identifiers[0]} if asked.identifiers else {}),
            },
            "outcome": outcome,
            "insurer": asked.insurer,
            **({"insurance": [_insurance(asked, benefits)]} if benefits else {}),
            **({"error": errors} if errors else {}),
        }

    def _next_id(self) -> str:
        self._made += 1
        return str(uuid.UUID(bytes=hmac.digest(self._nonce, b"fhir %d" % self._made, "sha256")[:16], version=4))


def _insurance(asked: Asked, benefits: tuple[Benefit, ...]) -> dict[str, Any]:
    """EB segments as R4 says them: 6 is a coverage that is in force no longer, I a category that is excluded."""
    items: dict[str, dict[str, Any]] = {}
    for benefit in benefits:
        for code in benefit.service_types:
            item = items.setdefault(code, {"category": _concept(asked.category_system, code)})
            if benefit.code == "I":
                item["excluded"] = True
            elif kind := _BENEFIT_TYPES.get(benefit.code):
                item["excluded"] = False
                item.setdefault("benefit", []).append(_benefit(kind, benefit.amount))
    is_active = any(benefit.code != "6" for benefit in benefits)
    return {"coverage": asked.coverage, "inforce": is_active, "item": list(items.values())}


def _benefit(kind: str, amount: str) -> dict[str, Any]:
    allowed = {"allowedMoney": {"value": int(amount), "currency": "USD"}} if amount else {}
    return {"type": _concept(_BENEFITS, kind), **allowed}


def _errors(rejection: Rejection | None) -> list[dict[str, Any]]:
    return [] if rejection is None else [_error(rejection.code)]


def _error(code: str) -> dict[str, Any]:
    return {"code": _concept(_HL7_ERRORS if code.startswith("a00") else _REASONS, code)}


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def _json_answer(http: int, resource: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
    return Answer(http, json.dumps(resource).encode("ascii"), f"{FHIR_JSON}; charset=utf-8", headers)
