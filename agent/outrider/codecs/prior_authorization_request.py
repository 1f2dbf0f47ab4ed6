"""The request for prior authorisation: who asks whom to review which service for whom, as a 278 and back.

Rules
-----
1. One request is one interchange with one transaction set about one patient event, as real time asks.
2. The trace stands in TRN02 of the patient event and in BHT03; both come back on the answer.
3. The patient is the member, or the dependent if there is one.

Source: X12 005010X217 (278).
"""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field

from outrider.codecs import x12_exchange
from outrider.codecs.prior_authorization_loops import PLAN, VERSION
from outrider.codecs.x12 import Composite, Interchange, Line, Segment, Separators, Transaction, X12Error, read
from outrider.codecs.x12_exchange import Guide, Level, Request, header_line, level_lines, opening, require
from outrider.codecs.x12_loops import refuse, walk
from outrider.codecs.x12_request import (
    DATE,
    Member,
    check_originator,
    demographic_lines,
    dependent_of,
    member_of,
    only_transaction,
    organisation_line,
    person_line,
)

GUIDE = Guide("278", "HI", VERSION)
"""Of the request and of the response: the guide has one version for both."""

_CATEGORIES = ("AR", "HS", "IN", "SC")
_SERVICE_TYPE = re.compile(r"[A-Z0-9]{1,2}")
_DIAGNOSIS = re.compile(r"[A-Z][0-9A-Z]{2,6}")
_ICD_10 = "ABK"
_WANTED = {
    "NM1 2010A": "X3", "NM1 2010C": "IL", "NM1 2010D": "QC", "TRN 2000E": "1", "DTP 2000E": "AAH",
}  # fmt: skip
"""What the first element of a segment in its loop must be to count."""
_REQUIRED = (
    ("BHT ", "no-bht", "there is no BHT"),
    ("NM1 2010A", "no-payer", "there is no utilization management organisation (NM1*X3)"),
    ("NM1 2010B", "no-provider", "there is no requester"),
    ("NM1 2010C", "no-member", "there is no subscriber (NM1*IL)"),
    ("UM 2000E", "no-event", "there is no patient event (UM)"),
    ("TRN 2000E", "no-trn", "the patient event has no trace"),
)


@dataclass(frozen=True, slots=True)
class Event:
    """What is to be authorised: UM, and when and why.

    `category` is UM01 (HS health services, SC specialty care, AR admission, IN individual), `service_type` UM03,
    `day` the event's date (DTP*AAH, "YYYYMMDD"), `diagnosis` an ICD-10-CM code without its dot; "" for not said.
    """

    category: str
    service_type: str
    day: str = ""
    diagnosis: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.category not in _CATEGORIES:
            raise X12Error("bad-code", f"the request category is none of {', '.join(_CATEGORIES)}", "UM01")
        if self.service_type and not _SERVICE_TYPE.fullmatch(self.service_type):
            raise X12Error("bad-code", "a service type has one or two capitals or digits", "UM03")
        if self.day and not DATE.fullmatch(self.day):
            raise X12Error("bad-date", "the event's day is not YYYYMMDD", "DTP03")
        if self.diagnosis and not _DIAGNOSIS.fullmatch(self.diagnosis):
            raise X12Error("bad-code", "the diagnosis is no ICD-10-CM code without its dot", "HI01")


@dataclass(frozen=True, slots=True)
class ReviewRequest(Request):
    """One 278 request. Raises X12Error where a value cannot be what its field says.

    `trace_originator` is TRN03, 10 characters.
    """

    provider_name: str
    provider_npi: str
    member: Member
    event: Event
    _: KW_ONLY
    trace_originator: str = "9OUTRIDER1"

    def __post_init__(self) -> None:
        Request.__post_init__(self)
        check_originator(self.trace_originator)


def write_request(request: ReviewRequest) -> bytes:
    """The request as a whole 278 interchange. Raises X12Error if a value cannot be written."""
    lines = [
        header_line("0007", "13", request.echo, request.created),
        *level_lines(levels_of(request)),
        ("TRN", "1", request.trace, request.trace_originator),
        *event_lines(request.event),
    ]
    return x12_exchange.write_request(GUIDE, request, lines)


def levels_of(request: ReviewRequest) -> list[Level]:
    """Each level with its names, from the payer down; the patient event's own segments are left to the caller."""
    member, dependent = request.member, request.dependent
    child = [Level("D", "23", [person_line("QC", dependent), *demographic_lines(dependent)])] if dependent else []
    return [
        Level("A", "20", [organisation_line("X3", request.payer_name, "PI", request.payer_id)]),
        Level("B", "21", [organisation_line("1P", request.provider_name, "XX", request.provider_npi)]),
        Level("C", "22", [person_line("IL", member), *demographic_lines(member)]),
        *child,
        Level("E", "EV", []),
    ]


def event_lines(event: Event) -> list[Line]:
    """UM, DTP and HI of the patient event."""
    lines: list[Line] = [("UM", event.category, "I", event.service_type)]
    if event.day:
        lines.append(("DTP", "AAH", "D8", event.day))
    if event.diagnosis:
        lines.append(("HI", Composite((_ICD_10, event.diagnosis))))
    return lines


def read_request(raw: bytes) -> ReviewRequest:
    """Read a 278 interchange that holds one request. Raises X12Error, and nothing else.

    Beside the codes of `x12.read`: wrong-set, wrong-version, not-a-request, hl-level, no-payer, no-provider, no-member,
    no-event, no-trn, no-bht, bad-date, bad-code. What a payer can do without is read as "".
    """
    interchange = read(raw)
    return _Parts(only_transaction(interchange, "278", VERSION), interchange.separators).request(interchange)


class _Parts:
    """The segments of a 278 that a request is made from, each in its loop."""

    def __init__(self, transaction: Transaction, separators: Separators) -> None:
        self.found: dict[str, Segment] = {}
        self.separators = separators
        self.end = transaction.segments[-1]
        for loop, segment in walk(transaction, PLAN):
            self._take(loop, segment)
        require(self.found, _REQUIRED, self.end)
        if "HL 2000D" in self.found and "NM1 2010D" not in self.found:
            refuse("no-member", "the dependent has no name segment (NM1*QC)", self.end)

    def _take(self, loop: str, segment: Segment) -> None:
        key = f"{segment.id} {loop}"
        if _WANTED.get(key, segment.get(1)) != segment.get(1):
            return
        if segment.id == "BHT" and segment.get(2) != "13":
            refuse("not-a-request", "BHT02 says that this is no request", segment, 2)
        if segment.id == "HL" and key in self.found and loop != "2000F":
            refuse("wrong-set", "more than one patient event in a transaction set; real time takes one", segment)
        self.found.setdefault(key, segment)

    def request(self, interchange: Interchange) -> ReviewRequest:
        payer, provider, trace = (self.found[key] for key in ("NM1 2010A", "NM1 2010B", "TRN 2000E"))
        header, child = self.found["BHT "], self.found.get("NM1 2010D")
        return ReviewRequest(
            **opening(interchange, header, self.end),
            trace=trace.get(2),
            payer_name=payer.get(3),
            payer_id=payer.get(9),
            provider_name=provider.get(3),
            provider_npi=provider.get(9) if provider.get(8) == "XX" else "",
            member=member_of(self.found["NM1 2010C"], self.found.get("DMG 2010C")),
            event=self._event(),
            trace_originator=trace.get(3),
            dependent=dependent_of(child, self.found.get("DMG 2010D")) if child else None,
            reference=header.get(3) if header.get(3) != trace.get(2) else "",
        )

    def _event(self) -> Event:
        review, day, reason = (self.found.get(f"{name} 2000E") for name in ("UM", "DTP", "HI"))
        parts = reason.components(1, self.separators) if reason else ()
        diagnosis = parts[1] if len(parts) > 1 and parts[0] == _ICD_10 else ""
        category, service_type = (review.get(1), review.get(3)) if review else ("", "")
        return Event(category, service_type, day.get(3).partition("-")[0] if day else "", diagnosis)
