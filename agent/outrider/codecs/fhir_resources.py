"""The parts of FHIR R4 resources that an eligibility answer is read by, as types: what R4 requires is required here.

Elements that are not named are passed over, as FHIR asks of whoever reads; those that are named have R4's type and
cardinality, and null is no value (R4, "JSON representation").
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

Text: TypeAlias = str | UnsetType


class Coding(msgspec.Struct, frozen=True, kw_only=True):
    system: Text = UNSET
    code: Text = UNSET


class Concept(msgspec.Struct, frozen=True, kw_only=True):
    """CodeableConcept."""

    coding: tuple[Coding, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(coding.code for coding in self.coding if isinstance(coding.code, str))


class Identifier(msgspec.Struct, frozen=True, kw_only=True):
    system: Text = UNSET
    value: Text = UNSET


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    reference: Text = UNSET
    identifier: Identifier | UnsetType = UNSET


class Benefit(msgspec.Struct, frozen=True, kw_only=True):
    type: Concept


class Item(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    category: Concept = Concept()
    excluded: bool | UnsetType = UNSET
    authorization_required: bool | UnsetType = UNSET
    benefit: tuple[Benefit, ...] = ()


class Insurance(msgspec.Struct, frozen=True, kw_only=True):
    coverage: Reference
    inforce: bool | UnsetType = UNSET
    item: tuple[Item, ...] = ()


class ResponseError(msgspec.Struct, frozen=True, kw_only=True):
    code: Concept


class CoverageEligibilityResponse(msgspec.Struct, frozen=True, kw_only=True):
    status: Literal["active", "cancelled", "draft", "entered-in-error"]
    purpose: tuple[Literal["auth-requirements", "benefits", "discovery", "validation"], ...]
    patient: Reference
    created: str
    request: Reference
    outcome: Literal["queued", "complete", "error", "partial"]
    insurer: Reference
    insurance: tuple[Insurance, ...] = ()
    error: tuple[ResponseError, ...] = ()
    contained: tuple[dict[str, Any], ...] = ()


class ContainedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A CoverageEligibilityRequest that an answer carries within itself."""

    identifier: tuple[Identifier, ...] = ()


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    severity: Literal["fatal", "error", "warning", "information"]
    code: str
    expression: tuple[str, ...] = ()


class OperationOutcome(msgspec.Struct, frozen=True, kw_only=True):
    issue: tuple[Issue, ...]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    resource: dict[str, Any] | UnsetType = UNSET


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    entry: tuple[Entry, ...] = ()
