"""FHIR R4 CoverageEligibilityRequest: is this patient covered? Written with what it refers to contained in it.

Rules
-----
1. Patient, insurer, provider and coverage are each contained in the request, or a reference to what the server has.
2. The request has one business identifier, a UUID (`urn:ietf:rfc:3986`), which its answer must name.
3. What is contained is referred to (dom-3), and the coverage names its beneficiary and its payor.

Sources: HL7 FHIR R4 (4.0.1), CoverageEligibilityRequest, Patient, Organization, Coverage, DomainResource; RFC 4122.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

CONTENT_TYPE = "application/fhir+json"
UUID_SYSTEM = "urn:ietf:rfc:3986"
NPI_SYSTEM = "http://hl7.org/fhir/sid/us-npi"
CATEGORY_SYSTEM = "http://terminology.hl7.org/CodeSystem/ex-benefitcategory"
PURPOSES = ("auth-requirements", "benefits", "discovery", "validation")
_IDENTIFIER_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
_RELATIONSHIPS = "http://terminology.hl7.org/CodeSystem/subscriber-relationship"
_REFERENCE = re.compile(r"(?:https?://[^\s#]{1,500}/)?[A-Za-z]{1,64}/[A-Za-z0-9.-]{1,64}|urn:uuid:[0-9a-f-]{36}")
_CODE = re.compile(r"[^\s]{1,64}(?: [^\s]{1,64}){0,8}")

Resource: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reference:
    """Something that the server has: "Patient/123", an absolute address, or a urn:uuid. Raises ValueError."""

    to: str

    def __post_init__(self) -> None:
        if not _REFERENCE.fullmatch(self.to):
            raise ValueError("a reference is written like Patient/123, with or without the server's address before it")


@dataclass(frozen=True, slots=True)
class Person:
    """A made-up patient. `birth_date` is YYYY-MM-DD; `member_id` is of `system`, if that is not empty."""

    last: str
    first: str
    birth_date: str
    member_id: str
    gender: str = ""
    system: str = ""

    def __post_init__(self) -> None:
        _check_date("birth date", self.birth_date)
        _check_texts("patient", self.last, self.first, self.member_id)


@dataclass(frozen=True, slots=True)
class Organization:
    """An insurer or a provider, and its id within a system."""

    name: str
    id: str
    system: str = ""

    def __post_init__(self) -> None:
        _check_texts("organization", self.name, self.id)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The patient's insurance: the subscriber's id, and what the patient is to the subscriber (self, child, ...)."""

    subscriber_id: str
    relationship: str = "self"

    def __post_init__(self) -> None:
        _check_texts("coverage", self.subscriber_id)


@dataclass(frozen=True, slots=True)
class EligibilityRequest:
    """One request. `identifier` is a UUID; `created` is aware; `serviced` is YYYY-MM-DD; `categories` are codes of
    `category_system`. Raises ValueError for what FHIR cannot carry."""

    identifier: str
    created: datetime
    serviced: str
    patient: Person | Reference
    insurer: Organization | Reference
    coverage: Coverage | Reference
    provider: Organization | Reference | None = None
    purpose: tuple[str, ...] = ("benefits", "validation")
    categories: tuple[str, ...] = ("30",)
    category_system: str = field(default=CATEGORY_SYSTEM)

    def __post_init__(self) -> None:
        _check_date("date of service", self.serviced)
        if not self.purpose or not set(self.purpose) <= set(PURPOSES):
            raise ValueError(f"purpose is one or more of {', '.join(PURPOSES)}")
        if not all(_CODE.fullmatch(code) for code in self.categories):
            raise ValueError("a category is a code: no blanks around it, nor two in a row")
        if self.created.tzinfo is None:
            raise ValueError("created needs an offset")


def write_request(request: EligibilityRequest) -> bytes:
    """The request as JSON, in the order in which R4 lists its elements."""
    contained: list[Resource] = []

    def refer(name: str, to: Person | Organization | Reference) -> Resource:
        if isinstance(to, Reference):
            return {"reference": to.to}
        contained.append(_patient(to) if isinstance(to, Person) else _organization(name, to))
        return {"reference": f"#{name}"}

    patient, insurer = refer("patient", request.patient), refer("insurer", request.insurer)
    provider = {} if request.provider is None else {"provider": refer("provider", request.provider)}
    if isinstance(request.coverage, Reference):
        coverage = {"reference": request.coverage.to}
    else:
        contained.append(_coverage(request.coverage, patient, insurer))
        coverage = {"reference": "#coverage"}
    items = [{"category": _concept(request.category_system, code)} for code in request.categories]
    resource = {
        "resourceType": "CoverageEligibilityRequest",
        "id": request.identifier,
        **({"contained": contained} if contained else {}),
        "identifier": [{"system": UUID_SYSTEM, "value": f"urn:uuid:{request.identifier}"}],
        "status": "active",
        "purpose": list(request.purpose),
        "patient": patient,
        "servicedDate": request.serviced,
        "created": request.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **provider,
        "insurer": insurer,
        "insurance": [{"focal": True, "coverage": coverage}],
        **({"item": items} if items else {}),
    }
    return json.dumps(resource, separators=(",", ":"), ensure_ascii=False).encode()


def _patient(person: Person) -> Resource:
    identifier = {"type": _concept(_IDENTIFIER_TYPES, "MB"), **_identifier(person.member_id, person.system)}
    return {
        "resourceType": "Patient",
        "id": "patient",
        "identifier": [identifier],
        "name": [{"family": person.last, "given": [person.first]}],
        **({"gender": person.gender} if person.gender else {}),
        "birthDate": person.birth_date,
    }


def _organization(name: str, organization: Organization) -> Resource:
    identifier = _identifier(organization.id, organization.system)
    return {"resourceType": "Organization", "id": name, "identifier": [identifier], "name": organization.name}


def _coverage(coverage: Coverage, beneficiary: Resource, payor: Resource) -> Resource:
    return {
        "resourceType": "Coverage",
        "id": "coverage",
        "status": "active",
        "subscriberId": coverage.subscriber_id,
        "beneficiary": beneficiary,
        "relationship": _concept(_RELATIONSHIPS, coverage.relationship),
        "payor": [payor],
    }


def _identifier(value: str, system: str) -> Resource:
    return {**({"system": system} if system else {}), "value": value}


def _concept(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def _check_date(what: str, text: str) -> None:
    try:
        is_date = len(text) == 10 and date.fromisoformat(text) is not None
    except ValueError:
        is_date = False
    if not is_date:
        raise ValueError(f"the {what} is not a date; write it like 2026-06-01")


def _check_texts(what: str, *texts: str) -> None:
    """FHIR strings hold more than blanks, no control characters, and no lone surrogates."""
    for text in texts:
        if not text.strip() or not text.isprintable():
            raise ValueError(f"a text of the {what} is empty, or holds characters that FHIR does not carry")
