"""The `fhir` probe: eligibility over FHIR R4. A CoverageEligibilityRequest is posted, and its answer is read.

Rules
-----
1. The request goes to its type (`POST .../CoverageEligibilityRequest`, a create) or to R4's operation
   (`.../CoverageEligibilityRequest/$submit`), as `path` says. The answer is expected in the reply, 200 or 201: a
   CoverageEligibilityResponse, alone or in a Bundle. A server that keeps the request (the request itself, nothing, or
   outcome `queued` comes back) has not answered, and nothing is polled: real time is what is measured.
2. An HTTP status that is no success decides. But an OperationOutcome says more than a 4xx that is not about us (401,
   403) or our rate (429), and then its issues decide; of a 5xx only issues that pass (time-out, throttled, ...) do: a
   server that fails is not excused by what it says about the request.
3. Otherwise the answer decides (`outrider.codecs.fhir_answer`). The request's identifier is a UUID, drawn for each
   request anew, and the answer has to name it. `match: location` is for servers that know a request by an id of their
   own alone: then the id in the Location (or Content-Location) header counts too.

Facts: `status`, and those of the answer: `resource`, `outcome`, `inforce`, `category`, `excluded`, `benefit`,
`authorization_required`, `error`, `issue`.

Sources: HL7 FHIR R4 (4.0.1), RESTful API ("create"), CoverageEligibilityRequest/$submit; RFC 9110.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from outrider.codecs import fhir_request
from outrider.codecs.fhir_answer import Asked, read_answer
from outrider.codecs.outcome_table import FHIR_TRANSIENT
from outrider.core.outcome import Finding, Observation
from outrider.probes import HTTP_SCHEMES, Generate, Prepared, Target, join, merge
from outrider.probes.http import USER_AGENT, status_findings
from outrider.transport import HttpReply, HttpRequest

_MEDIA_TYPES = ("application/fhir+json", "application/json", "application/json+fhir")
_PASSES = (*FHIR_TRANSIENT, "throttled")
_STATUS_DECIDES = (401, 403, 429)
_BESIDE = ("reference", "system", "relationship")


class _OfStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that a step describes, to be contained in the request, or that the server has: `reference`."""

    reference: str = ""


class PatientOfStep(_OfStep, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A made-up patient. `id` is the member's, `birth_date` YYYY-MM-DD."""

    last: str = ""
    first: str = ""
    id: str = ""
    system: str = ""
    birth_date: str = ""
    gender: Literal["", "female", "male", "other", "unknown"] = ""

    def for_codec(self) -> fhir_request.Person | fhir_request.Reference:
        if self.reference:
            return fhir_request.Reference(self.reference)
        return fhir_request.Person(self.last, self.first, self.birth_date, self.id, self.gender, self.system)


class OrganizationOfStep(_OfStep, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The insurer, or the provider: its id is an NPI where no `system` says otherwise."""

    name: str = ""
    id: str = ""
    system: str = ""

    def for_codec(self, system: str = "") -> fhir_request.Organization | fhir_request.Reference:
        if self.reference:
            return fhir_request.Reference(self.reference)
        return fhir_request.Organization(self.name, self.id, self.system or system)


class CoverageOfStep(_OfStep, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The insurance. Without `subscriber_id` the patient is the subscriber."""

    subscriber_id: str = ""
    relationship: Literal["self", "child", "spouse", "parent", "other"] = "self"


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step says. `service_date` is YYYY-MM-DD, today without; `categories` are those that are asked about."""

    path: str = "/CoverageEligibilityRequest"
    purpose: tuple[Literal["auth-requirements", "benefits", "discovery", "validation"], ...] = (
        "benefits",
        "validation",
    )
    patient: PatientOfStep
    insurer: OrganizationOfStep
    provider: OrganizationOfStep | None = None
    coverage: CoverageOfStep = CoverageOfStep()
    categories: tuple[str, ...] = ("30",)
    category_system: str = fhir_request.CATEGORY_SYSTEM
    service_date: str = ""
    match: Literal["identifier", "location"] = "identifier"


class FhirProbe:
    """See `outrider.probes.Probe`."""

    schemes = HTTP_SCHEMES

    def check(self, request: Mapping[str, Any]) -> None:
        read = msgspec.convert(request, Request)
        for name, each, needed in (
            ("patient", read.patient, ("last", "first", "id", "birth_date")),
            ("insurer", read.insurer, ("name", "id")),
            ("provider", read.provider, ("name", "id")),
            ("coverage", read.coverage, ()),
        ):
            if each is not None:
                _check(name, each, needed)
        if not read.purpose:
            raise ValueError("purpose is empty; R4 asks for at least one - at `$.purpose`")
        if read.patient.reference and not (read.coverage.reference or read.coverage.subscriber_id):
            raise ValueError("a patient by reference needs a coverage: a reference, or a subscriber_id")

    def prepare(self, request: Mapping[str, Any], target: Target, generate: Generate) -> Prepared:
        wanted = msgspec.convert(request, Request)
        identifier = generate("uuid")
        provider = None if wanted.provider is None else wanted.provider.for_codec(fhir_request.NPI_SYSTEM)
        body = fhir_request.write_request(
            fhir_request.EligibilityRequest(
                identifier=identifier,
                created=datetime.fromisoformat(generate("now")),
                serviced=wanted.service_date or generate("today"),
                patient=wanted.patient.for_codec(),
                insurer=wanted.insurer.for_codec(),
                coverage=_coverage(wanted),
                provider=provider,
                purpose=wanted.purpose,
                categories=wanted.categories,
                category_system=wanted.category_system,
            )
        )
        kind = fhir_request.CONTENT_TYPE
        headers = merge([("User-Agent", USER_AGENT), ("Accept", kind), ("Content-Type", kind), *target.headers])
        http = HttpRequest("POST", join(target, wanted.path), headers, body, target.ca_file, target.verify_tls)
        return Prepared(http, {"identifier": identifier, "match": wanted.match})

    def read(self, prepared: Prepared, reply: HttpReply) -> Observation:
        status = {"status": (str(reply.status),)}
        refused = tuple(status_findings(reply))
        if (why := _not_fhir(reply)) is not None:
            return Observation(refused or (why,), status)
        is_by_location = prepared.sent["match"] == "location"
        location = reply.header("Location") or reply.header("Content-Location") if is_by_location else ""
        answer = read_answer(reply.body, Asked(prepared.sent["identifier"], location))
        facts = {**answer.facts, **status}
        if refused:
            return Observation(_issues(reply.status, answer.findings) or refused, facts)
        return Observation(answer.findings, facts)


def _check(name: str, each: _OfStep, needed: tuple[str, ...]) -> None:
    given = [key for key in each.__struct_fields__ if key not in _BESIDE and getattr(each, key)]
    if each.reference and given:
        raise ValueError(f"{name} has a reference and {given[0]}; it is one or the other - at `$.{name}`")
    if not each.reference and (missing := [key for key in needed if not getattr(each, key)]):
        raise ValueError(f"{name} lacks {missing[0]}, or a reference - at `$.{name}`")


def _coverage(wanted: Request) -> fhir_request.Coverage | fhir_request.Reference:
    if wanted.coverage.reference:
        return fhir_request.Reference(wanted.coverage.reference)
    return fhir_request.Coverage(wanted.coverage.subscriber_id or wanted.patient.id, wanted.coverage.relationship)


def _not_fhir(reply: HttpReply) -> Finding | None:
    """Why a reply cannot be a FHIR resource."""
    if not reply.body:
        return Finding("empty", "body/size", "the reply is empty: no answer, whatever was kept")
    kind = reply.header("Content-Type")
    if kind.partition(";")[0].strip().lower() in _MEDIA_TYPES:
        return None
    return Finding("not-fhir", "body/type", f"expected application/fhir+json, got {kind[:100] or 'no content type'}")


def _issues(status: int, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The issues of an OperationOutcome, where they say more than the status (rule 2)."""
    issues = tuple(finding for finding in findings if finding.place.startswith("issue/"))
    if status in _STATUS_DECIDES or status < 400:
        return ()
    return issues if status < 500 or all(issue.code in _PASSES for issue in issues) else ()
