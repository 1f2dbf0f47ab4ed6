"""Faults that can be dialled in: what each kind is, and how a request for one is read.

Rules
-----
1. A fault is read strictly. An unknown kind, component or field, or a value out of range, is refused with the
   field's name and what is allowed.
2. Faults at the door (`unauthorized`, `throttle`, `maintenance`) refuse a request before anything is done with it.
3. All other kinds hit the answer. What was asked for has been done by then: a payment is made although its answer
   is lost. `error` and `html` alone can say `committed: false`, and then refuse at the door too.
4. `aaa` (on a 271), `stc` (on a 277 or 277CA), `hcr` (on a 278), `ack` (a 999 in place of a 277CA), `wrong_trn`,
   `wrong_payload_id` and `soap_fault` speak X12, CORE and SOAP, so only the clearinghouse can have them. A wire that
   has no PayloadID, or no SOAP, passes over the fault, and no hit is counted. `fhir_issue`, `fhir_error`,
   `fhir_outcome` and `wrong_request` speak FHIR.
5. `decline` is an issuer's, so only the gateway can have it, where it asks one: authorizations, sales and debits. A
   request that is replayed under its idempotency key asks nobody, and passes it over.
6. `response_code` and `wrong_stan` speak ISO 8583, so only the switch can have them.
7. `certificate` is for a handshake, and so for `tls` and `mail`; `rcode`, `smtp`, `no_starttls`, `sip` and `wrong_id`
   are for the services that speak so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from outrider.codecs.iso8583_responses import RESPONSES
from outrider_sandbox.gateway.declines import DIALLED

HTTP_COMPONENTS = ("clearinghouse", "gateway", "portal")
SERVICE_COMPONENTS = ("switch", "tls", "nameserver", "mail", "sip")
"""Those that are not HTTP."""
COMPONENTS = (*HTTP_COMPONENTS, *SERVICE_COMPONENTS)
EVERYWHERE = "*"
LONGEST_FOR_S = 7 * 86_400.0

Value: TypeAlias = int | float | bool | str


class FaultError(ValueError):
    """A fault that cannot be dialled in. `place` names the field; the text says what is allowed."""

    def __init__(self, place: str, text: str) -> None:
        super().__init__(f"{place}: {text}")
        self.place = place


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number (or, with `whole` off, any number) from `low` to `high`. No default means required."""

    low: float
    high: float
    default: float | None = None
    whole: bool = True

    def read(self, place: str, value: object) -> Value:
        kinds = (int,) if self.whole else (int, float)
        fits = isinstance(value, kinds) and not isinstance(value, bool)
        if not fits or not isinstance(value, int | float) or not self.low <= value <= self.high:
            sort = "a whole number" if self.whole else "a number"
            raise FaultError(place, f"{_shown(value)} is not {sort} from {self.low:g} to {self.high:g}")
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some texts."""

    options: tuple[str, ...]
    default: str | None = None

    def read(self, place: str, value: object) -> Value:
        if not isinstance(value, str) or value not in self.options:
            raise FaultError(place, f"{_shown(value)} is not one of {', '.join(self.options)}")
        return value


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    default: bool

    def read(self, place: str, value: object) -> Value:
        if not isinstance(value, bool):
            raise FaultError(place, f"{_shown(value)} is neither true nor false")
        return value


@dataclass(frozen=True, slots=True)
class Kind:
    """What one kind of fault can be told, and which components can have it."""

    parameters: Mapping[str, Number | Choice | Flag] = field(default_factory=dict)
    components: tuple[str, ...] = COMPONENTS


_CLEARINGHOUSE = ("clearinghouse",)

# AAA03 reject reasons that X12 005010X279A1 knows, at the levels that an answer for a subscriber has.
_AAA = "04 15 35 41 42 43 44 45 46 47 48 49 50 51 52 56 57 58 60 61 62 63 71 72 73 74 75 76 78 79 80 97 T4"
AAA_CODES = tuple(_AAA.split())
AAA_LOOPS = ("2000A", "2100A", "2100B", "2100C")

# STC01-1 claim status categories (list 507) that tell no status or another one, and the loops of X12 005010X212.
_STC = "A0 A1 A2 A3 A4 A6 A7 A8 D0 E0 E1 E2 E3 E4 F0 F1 F2 F4 P0 P1 P2 P3 P4 P5 R0"
STC_CODES = tuple(_STC.split())
STC_LOOPS = ("2200B", "2200C", "2200D")

HCR_CODES = ("A1", "A2", "A3", "A4", "A6", "CT", "NA")
"""HCR01, what a review decided (X12 005010X217)."""

_ISSUES = (
    "invalid structure required value invariant security login unknown expired forbidden suppressed processing "
    "not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly "
    "business-rule conflict transient lock-error no-store exception timeout incomplete throttled"
)
ISSUE_CODES = tuple(_ISSUES.split())
"""OperationOutcome.issue.code (FHIR R4, issue-type), but those that are no errors."""
ISSUE_PLACES = ("whole", "patient", "insurer", "provider", "insurance", "item")

ACK_CODES = ("A", "E", "R")
"""IK501 and AK901: accepted, accepted with errors noted, rejected (X12C 005010X231A1)."""

RESPONSE_CODES = tuple(code for responses in RESPONSES.values() for code in responses)
"""Field 39 of ISO 8583, of 1987 (two digits) and of 1993 (three)."""

RCODES = ("FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "NOTAUTH")
"""What a name server says instead of an answer (RFC 6895)."""

KINDS: Mapping[str, Kind] = {
    "unauthorized": Kind(components=HTTP_COMPONENTS),
    "throttle": Kind({"retry_after_s": Number(0, 86_400, default=1)}, HTTP_COMPONENTS),
    "maintenance": Kind({"retry_after_s": Number(0, 86_400, default=300)}, HTTP_COMPONENTS),
    "aaa": Kind({"code": Choice(AAA_CODES), "loop": Choice(AAA_LOOPS)}, _CLEARINGHOUSE),
    "stc": Kind({"code": Choice(STC_CODES), "loop": Choice(STC_LOOPS)}, _CLEARINGHOUSE),
    "hcr": Kind({"code": Choice(HCR_CODES)}, _CLEARINGHOUSE),
    "ack": Kind({"code": Choice(ACK_CODES)}, _CLEARINGHOUSE),
    "wrong_trn": Kind(components=_CLEARINGHOUSE),
    "wrong_payload_id": Kind(components=_CLEARINGHOUSE),
    "soap_fault": Kind({"code": Choice(("Receiver", "Sender"), default="Receiver")}, _CLEARINGHOUSE),
    "fhir_issue": Kind(
        {
            "code": Choice(ISSUE_CODES, default="exception"),
            "place": Choice(ISSUE_PLACES, default="whole"),
            "http": Number(200, 599, default=422),
        },
        _CLEARINGHOUSE,
    ),
    "fhir_error": Kind({"code": Choice((*AAA_CODES, "a001", "a002"), default="42")}, _CLEARINGHOUSE),
    "fhir_outcome": Kind({"outcome": Choice(("queued", "partial", "error"), default="queued")}, _CLEARINGHOUSE),
    "wrong_request": Kind(components=_CLEARINGHOUSE),
    "decline": Kind({"code": Choice(DIALLED)}, ("gateway",)),
    "response_code": Kind({"code": Choice(RESPONSE_CODES)}, ("switch",)),
    "wrong_stan": Kind(components=("switch",)),
    "certificate": Kind({"days": Number(-365, 365)}, ("tls", "mail")),
    "rcode": Kind({"code": Choice(RCODES)}, ("nameserver",)),
    "smtp": Kind({"code": Number(400, 599), "step": Choice(("banner", "ehlo", "starttls"))}, ("mail",)),
    "no_starttls": Kind(components=("mail",)),
    "sip": Kind({"status": Number(300, 699)}, ("sip",)),
    "wrong_id": Kind(components=("nameserver", "sip")),
    "truncate": Kind(),
    "delay": Kind({"ms": Number(1, 600_000)}),
    "hang": Kind(),
    "reset": Kind(),
    "error": Kind({"code": Number(500, 599, default=500), "committed": Flag(True)}, HTTP_COMPONENTS),
    "html": Kind({"committed": Flag(True)}),
    "drip": Kind({"bytes_per_s": Number(1, 10_000_000)}),
}

_COMMON = ("kind", "component", "share", "for_s")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHARE = Number(0, 1, default=1.0, whole=False)
_FOR_S = Number(0.001, LONGEST_FOR_S, whole=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, valid from birth when made by `parse_fault`.

    `share` is the part of the requests that it hits (0..1); `for_s` is after how many seconds it ends by itself,
    None for never; `parameters` holds every parameter of its kind, defaults filled in.
    """

    name: str
    kind: str
    component: str
    share: float = 1.0
    for_s: float | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """A parameter that is a whole number."""
        return int(self.parameters[name])

    def text(self, name: str) -> str:
        """A parameter that is a text."""
        return str(self.parameters[name])

    def hits(self, component: str) -> bool:
        return self.component in (EVERYWHERE, component) and component in KINDS[self.kind].components


def parse_fault(name: str, body: object) -> Fault:
    """Read {"kind", "component", "share"?, "for_s"?, kind's own parameters} as a fault. Raises FaultError only."""
    if not _NAME.fullmatch(name):
        raise FaultError("name", "needs 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first")
    if not isinstance(body, Mapping):
        raise FaultError("body", 'is not a JSON object such as {"kind": "hang", "component": "gateway"}')
    kind_name = _one_of("kind", body.get("kind"), tuple(KINDS))
    kind = KINDS[kind_name]
    component = _one_of("component", body.get("component"), (*kind.components, EVERYWHERE))
    known = (*_COMMON, *kind.parameters)
    for key in body:
        if key not in known:
            raise FaultError(str(key), f"is not a field of a {kind_name} fault, which has {', '.join(known)}")
    for_s = body.get("for_s")
    return Fault(
        name=name,
        kind=kind_name,
        component=component,
        share=float(_SHARE.read("share", body.get("share", _SHARE.default))),
        for_s=None if for_s is None else float(_FOR_S.read("for_s", for_s)),
        parameters={key: _parameter(key, rule, body) for key, rule in kind.parameters.items()},
    )


def _parameter(key: str, rule: Number | Choice | Flag, body: Mapping[object, object]) -> Value:
    if key in body:
        return rule.read(key, body[key])
    if rule.default is None:
        raise FaultError(key, "is missing, and this kind of fault needs it")
    return rule.default


def _one_of(place: str, value: object, options: tuple[str, ...]) -> str:
    if value is None:
        raise FaultError(place, f"is missing; it is one of {', '.join(options)}")
    return str(Choice(options).read(place, value))


def _shown(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "that"
    return repr(value)[:60]
