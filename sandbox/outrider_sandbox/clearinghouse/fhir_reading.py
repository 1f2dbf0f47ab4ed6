"""A CoverageEligibilityRequest as the sandbox reads it: step by step, each complaint with its element.

Written apart from the agent's codec on purpose: one mistake shared by both sides would hide itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outrider.codecs.eligibility import Dependent, Inquiry, Member
from outrider.codecs.x12 import X12Error
from outrider_sandbox.clearinghouse.members import RECORDS, SURNAME

_NPI = "http://hl7.org/fhir/sid/us-npi"
_PURPOSES = ("auth-requirements", "benefits", "discovery", "validation")
_PLAIN_CARE = "30"


class FhirError(Exception):
    """A request that is refused: HTTP status, issue type (FHIR R4, issue-type) and the element it is about."""

    def __init__(self, http: int, code: str, place: str, message: str) -> None:
        super().__init__(message)
        self.http = http
        self.code = code
        self.place = place
        self.message = message


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, as the clearinghouse judges it, and what an answer repeats."""

    inquiry: Inquiry
    identifiers: tuple[Mapping[str, Any], ...]
    purpose: tuple[str, ...]
    patient: Mapping[str, Any]
    insurer: Mapping[str, Any]
    coverage: Mapping[str, Any]
    serviced: str
    category_system: str


def read_request(body: Mapping[str, Any], now: datetime) -> Asked:
    """Raises FhirError."""
    if body.get("resourceType") != "CoverageEligibilityRequest":
        raise FhirError(400, "structure", "resourceType", "this is no CoverageEligibilityRequest")
    if body.get("status") != "active":
        raise FhirError(422, "business-rule", "status", "a request that is not active is not answered")
    purpose = tuple(_list(body, "purpose"))
    if not purpose or any(each not in _PURPOSES for each in purpose):
        raise FhirError(400, "code-invalid", "purpose", f"purpose is one or more of {', '.join(_PURPOSES)}")
    _text(body, "created", "created")
    patient = _contained(body, body.get("patient"), "patient", "Patient")
    insurer = _contained(body, body.get("insurer"), "insurer", "Organization")
    provider = _contained(body, body.get("provider"), "provider", "Organization")
    reference = _object((_list(body, "insurance") or [{}])[0], "insurance").get("coverage")
    coverage = _contained(body, reference, "insurance", "Coverage")
    categories, system = _categories(body)
    serviced = str(body.get("servicedDate", "")) or now.date().isoformat()
    try:
        inquiry = Inquiry(
            sender_id="FHIR",
            receiver_id="FHIR",
            control_number=1,
            trace="FHIR",
            payer_name=_text(insurer, "name", "insurer") or "NONE",
            payer_id=_identifier(insurer, "insurer"),
            provider_name=_text(provider, "name", "provider"),
            provider_npi=_identifier(provider, "provider", _NPI),
            service_types=categories or (_PLAIN_CARE,),
            service_date=serviced.replace("-", ""),
            created=now,
            **_people(patient, coverage),
        )
    except X12Error as error:
        raise FhirError(422, "value", "whole", f"what stands here, no clearinghouse can pass on: {error}") from None
    identifiers = tuple(_object(each, "identifier") for each in _list(body, "identifier"))
    return Asked(
        inquiry,
        identifiers,
        purpose,
        _only_identified(patient),
        _only_identified(insurer),
        {"identifier": {"value": inquiry.member.member_id}},
        serviced,
        system,
    )


def _people(patient: Mapping[str, Any], coverage: Mapping[str, Any]) -> dict[str, Any]:
    """The member, and the patient as a dependent where the coverage says that it is not the subscriber."""
    name = _object((_list(patient, "name") or [{}])[0], "patient")
    last, given = _text(name, "family", "patient"), _list(name, "given")
    first = given[0] if given and isinstance(given[0], str) else ""
    birth_date = _text(patient, "birthDate", "patient").replace("-", "")
    member_id = _text(coverage, "subscriberId", "insurance") or _identifier(patient, "patient")
    relationship = _codes(coverage.get("relationship"))
    if relationship and relationship[0][1] != "self":
        record = RECORDS.get(member_id)
        subscriber = Member(
            SURNAME, record.first if record else "NOBODY", member_id, record.birth_date if record else "19000101"
        )
        return {"member": subscriber, "dependent": Dependent(last, first, birth_date)}
    return {"member": Member(last, first, member_id, birth_date)}


def _contained(body: Mapping[str, Any], reference: object, place: str, kind: str) -> Mapping[str, Any]:
    to = _text(_object(reference, place), "reference", place)
    for resource in _list(body, "contained"):
        if isinstance(resource, dict) and f"#{resource.get('id')}" == to and resource.get("resourceType") == kind:
            return resource
    raise FhirError(
        422, "not-found", place, f"no contained {kind} is referred to here, and nothing is kept on this server"
    )


def _identifier(resource: Mapping[str, Any], place: str, system: str | None = None) -> str:
    for each in _list(resource, "identifier"):
        found = _object(each, place)
        if system is None or found.get("system") == system:
            return _text(found, "value", place)
    raise FhirError(
        422, "required", f"{place}.identifier", "an identifier is needed here" + (f" of {system}" if system else "")
    )


def _categories(body: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    found = [each for item in _list(body, "item") for each in _codes(_object(item, "item").get("category"))]
    return tuple(code for _, code in found), found[0][0] if found else ""


def _codes(concept: object) -> list[tuple[str, str]]:
    codings = _list(concept, "coding") if isinstance(concept, dict) else []
    return [(str(each.get("system", "")), str(each.get("code", ""))) for each in codings if isinstance(each, dict)]


def _only_identified(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """A reference by identifier: the answer need not repeat a name or a birth date."""
    found = [each for each in _list(resource, "identifier") if isinstance(each, dict)]
    return {"identifier": {"value": str(found[0].get("value", ""))}} if found else {"display": "unidentified"}


def _list(value: Mapping[str, Any], key: str) -> list[Any]:
    found = value.get(key, [])
    if not isinstance(found, list):
        raise FhirError(400, "structure", key, f"{key} is a list")
    return found


def _object(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FhirError(400, "structure", place, "an object is needed here")
    return value


def _text(value: Mapping[str, Any], key: str, place: str) -> str:
    found = value.get(key, "")
    if not isinstance(found, str):
        raise FhirError(400, "structure", place, f"{key} is a text")
    if not found and key in ("reference", "created"):
        raise FhirError(400, "required", place, f"{key} is missing")
    return found
