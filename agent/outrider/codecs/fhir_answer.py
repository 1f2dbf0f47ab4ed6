"""The answer to a FHIR R4 CoverageEligibilityRequest, read strictly. Reading raises nothing.

Rules
-----
1. The answer is a CoverageEligibilityResponse, or a Bundle with exactly one. An OperationOutcome says why there is
   none: each issue of severity fatal or error is a finding at `issue/PLACE`, PLACE being its first expression within
   the request ("insurer"), `whole` without one.
2. It has to name our request, else it is somebody else's (`echo/request`): by `request.identifier`, by a reference to
   our UUID, or by a request that is contained in it and has our identifier. Where a server is known to name requests
   by ids of its own alone, the id in the Location header counts (`Asked.location`); that proves less.
3. What R4 requires must be there and of its type, else a finding at `fhir/ELEMENT`. An answer that was withdrawn
   (status other than active) is none.
4. Each error is a finding at `error/SYSTEM`: `x12` for X12's reject reasons (AAA03), `hl7`, `other`, or `none`.
   An outcome other than complete that gives no error is a finding at `outcome`.
5. No detail repeats what an answer says: it may be a person's name. Of facts, codes alone are kept.

Facts: `resource`, `outcome`, `inforce`, `category`, `excluded`, `benefit`, `authorization_required`, `error`, `issue`;
each with all its values, the first `MOST_VALUES` of them.

Sources: HL7 FHIR R4 (4.0.1), CoverageEligibilityResponse, OperationOutcome, CoverageEligibilityRequest/$submit,
issue-type; X12 element 901 as https://codesystem.x12.org/005010/901.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from outrider.codecs.fhir_request import UUID_SYSTEM
from outrider.codecs.fhir_resources import (
    Bundle,
    Concept,
    ContainedRequest,
    CoverageEligibilityResponse,
    Identifier,
    Issue,
    OperationOutcome,
    Reference,
)
from outrider.codecs.strict_json import JsonError, read_json
from outrider.core.outcome import Finding, Observation

RESPONSE, OUTCOME, BUNDLE = "CoverageEligibilityResponse", "OperationOutcome", "Bundle"
MOST_VALUES = 200
_MOST_FINDINGS = 20
_LONGEST_CODE = 100
_REQUEST = "CoverageEligibilityRequest"
_NAME = re.compile(r"[A-Za-z]{1,64}")
_ISSUE_CODE = re.compile(r"[a-z]{1,20}(?:-[a-z]{1,20}){0,3}")
_ERROR_CODE = re.compile(r"[A-Za-z0-9._-]{1,40}")
_EXPRESSION = re.compile(r"[A-Za-z]{1,64}(?:\[[0-9]{1,4}\])?(?:\.[A-Za-z]{1,64}(?:\[[0-9]{1,4}\])?){0,8}")
_INDEX = re.compile(r"\[[0-9]{1,4}\]")
_AT = re.compile(r" - at `\$\.?(.{0,200})`\Z", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_TYPES = re.compile(r"Expected `[a-z |]+`, got `[a-z]+`")
_ID = re.compile(r"(?:^|/)(CoverageEligibilityRequest/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?\Z")
_SYSTEMS = (("codesystem.x12.org", "x12"), ("terminology.hl7.org", "hl7"))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer is held against: the request's UUID; `location`, if that counts, as the Location header has it."""

    identifier: str
    location: str = ""


class _UnreadableError(Exception):
    def __init__(self, code: str, place: str, detail: str) -> None:
        super().__init__(detail)
        self.finding = Finding(code, place, detail)


def read_answer(raw: bytes, asked: Asked) -> Observation:
    """Say what came back."""
    try:
        name, resource = _resource(read_json(raw))
        if name == OUTCOME:
            return _read_outcome(_typed(resource, OperationOutcome))
        return _read_response(_typed(resource, CoverageEligibilityResponse), asked)
    except JsonError as error:
        return Observation((Finding(error.code, "body/json", str(error)),))
    except _UnreadableError as error:
        return Observation((error.finding,))


def _resource(value: Any) -> tuple[str, dict[str, Any]]:
    """The resource that answers, taken out of a Bundle where it is in one."""
    if (name := _name_of(value)) == BUNDLE:
        resources = [each.resource for each in _typed(value, Bundle).entry if isinstance(each.resource, dict)]
        for wanted in (RESPONSE, OUTCOME):
            found = [each for each in resources if _name_of(each) == wanted]
            if len(found) > 1 and wanted == RESPONSE:
                raise _UnreadableError(
                    "several", "fhir/Bundle", f"the Bundle holds {len(found)} answers to one request"
                )
            if found:
                return wanted, found[0]
        raise _UnreadableError("missing", "fhir/Bundle", f"the Bundle holds no {RESPONSE}")
    if name not in (RESPONSE, OUTCOME):
        shown = f"a {name}" if _NAME.fullmatch(name) else "no resource"
        raise _UnreadableError("wrong-resource", "fhir/resourceType", f"expected a {RESPONSE}, got {shown}")
    return name, value


def _name_of(value: Any) -> str:
    name = value.get("resourceType") if isinstance(value, dict) else None
    return name if isinstance(name, str) else ""


def _typed(value: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message = str(error)
        at = _AT.search(message)
        missing, types = _MISSING.match(message), _TYPES.match(message)
        parts = [at[1] if at else "", missing[1] if missing else ""]
        place = ".".join(part for part in parts if part) or kind.__name__
        detail = types[0] if types else f"{place} is missing" if missing else f"{place} is not as R4 has it"
        raise _UnreadableError("missing" if missing else "invalid", f"fhir/{place}", detail) from None


# --- OperationOutcome


def _read_outcome(outcome: OperationOutcome) -> Observation:
    facts = {"resource": (OUTCOME,), "issue": _bounded(issue.code for issue in outcome.issue)}
    trouble = [issue for issue in outcome.issue if issue.severity in ("fatal", "error")]
    findings = [Finding(_issue_code(issue), f"issue/{_place(issue)}", "the server says so") for issue in trouble]
    if not trouble:
        findings = [Finding("wrong-resource", "fhir/resourceType", f"expected a {RESPONSE}, got an {OUTCOME}")]
    return Observation(tuple(findings[:_MOST_FINDINGS]), facts)


def _issue_code(issue: Issue) -> str:
    return issue.code if _ISSUE_CODE.fullmatch(issue.code) else "unreadable"


def _place(issue: Issue) -> str:
    """The element that an issue is about, within the request, without indexes."""
    expression = issue.expression[0] if issue.expression else ""
    if not _EXPRESSION.fullmatch(expression):
        return "whole"
    return _INDEX.sub("", expression).removeprefix(_REQUEST).removeprefix(".") or "whole"


# --- CoverageEligibilityResponse


def _read_response(response: CoverageEligibilityResponse, asked: Asked) -> Observation:
    findings = [*_not_ours(response, asked), *_not_an_answer(response), *_errors(response)]
    return Observation(tuple(findings[:_MOST_FINDINGS]), _facts(response))


def _not_ours(response: CoverageEligibilityResponse, asked: Asked) -> Iterator[Finding]:
    request = response.request
    if not (_names(request.identifier, asked) or _refers(request, asked) or _contains(response, asked)):
        yield Finding("mismatch", "echo/request", "the answer names somebody else's request, or none")


def _names(identifier: Identifier | msgspec.UnsetType, asked: Asked) -> bool:
    if not isinstance(identifier, Identifier) or identifier.system != UUID_SYSTEM:
        return False
    return isinstance(identifier.value, str) and identifier.value.lower() == f"urn:uuid:{asked.identifier}"


def _refers(request: Reference, asked: Asked) -> bool:
    reference = request.reference if isinstance(request.reference, str) else ""
    if reference.lower() == f"urn:uuid:{asked.identifier}":
        return True
    found, located = _ID.search(reference), _ID.search(asked.location)
    if found is None:
        return False
    return found[1] == f"{_REQUEST}/{asked.identifier}" or (located is not None and found[1] == located[1])


def _contains(response: CoverageEligibilityResponse, asked: Asked) -> bool:
    reference = response.request.reference
    if not isinstance(reference, str) or not reference.startswith("#"):
        return False
    for resource in response.contained:
        if resource.get("id") == reference[1:] and _name_of(resource) == _REQUEST:
            return any(_names(each, asked) for each in _typed(resource, ContainedRequest).identifier)
    return False


def _not_an_answer(response: CoverageEligibilityResponse) -> Iterator[Finding]:
    if response.status != "active":
        yield Finding(response.status, "fhir/status", "the answer is a draft, or was withdrawn")
    if not response.purpose:
        yield Finding("missing", "fhir/purpose", "purpose is empty")


def _errors(response: CoverageEligibilityResponse) -> Iterator[Finding]:
    for error in response.error:
        code, where = _code_of(error.code)
        yield Finding(code, f"error/{where}", "the answer reports an error")
    if response.outcome != "complete" and not response.error:
        yield Finding(response.outcome, "outcome", f"the request came to {response.outcome}, with no reason given")


def _code_of(concept: Concept) -> tuple[str, str]:
    """A concept's code and whose it is: X12's before others, since the outcome table knows those."""
    found: dict[str, str] = {}
    for coding in concept.coding:
        system = coding.system if isinstance(coding.system, str) else ""
        whose = next((name for host, name in _SYSTEMS if host in system), "other")
        if isinstance(coding.code, str):
            found.setdefault(whose, coding.code if _ERROR_CODE.fullmatch(coding.code) else "unreadable")
    for whose in ("x12", "hl7", "other"):
        if whose in found:
            return found[whose], whose
    return "uncoded", "none"


def _facts(response: CoverageEligibilityResponse) -> dict[str, tuple[str, ...]]:
    items = [item for insurance in response.insurance for item in insurance.item]
    facts = {
        "resource": (RESPONSE,),
        "outcome": (response.outcome,),
        "inforce": _flags(insurance.inforce for insurance in response.insurance),
        "category": _bounded(code for item in items for code in item.category.codes),
        "excluded": _flags(item.excluded for item in items),
        "benefit": _bounded(code for item in items for benefit in item.benefit for code in benefit.type.codes),
        "authorization_required": _flags(item.authorization_required for item in items),
        "error": _bounded(_code_of(error.code)[0] for error in response.error),
    }
    return {name: values for name, values in facts.items() if values}


def _flags(values: Iterable[bool | msgspec.UnsetType]) -> tuple[str, ...]:
    return _bounded("true" if value else "false" for value in values if isinstance(value, bool))


def _bounded(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(value[:_LONGEST_CODE] for value, _ in zip(values, range(MOST_VALUES), strict=False))
