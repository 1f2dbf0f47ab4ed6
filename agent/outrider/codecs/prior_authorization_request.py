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
from datetime import UTC, datetime

from outrider.codecs.prior_authorization_loops import PLAN, VERSION
from outrider.codecs.x12 import Composite, Draft, Interchange, Line, Segment, Separators, Transaction, X12Error, read
from outrider.codecs.x12 import write as write_x12
from outrider.codecs.x12_loops import refuse, walk
from outrider.codecs.x12_request import (
    DATE,
    Dependent,
    Member,
    check_opening,
    demographic_lines,
    demographics,
    moment,
    only_transaction,
    organisation_line,
    person_line,
)

_CATEGORIES = ("AR", "HS", "IN", "SC")
_SERVICE_TYPE = re.compile(r"[A-Z0-9]{1,2}")
_DIAGNOSIS = re.compile(r"[A-Z][0-9A-Z]{2,6}")
_ICD_10 = "ABK"
_WANTED = {
    "NM1 2010A": "X3", "NM1 2010C": "IL", "NM1 2010D": "QC", "TRN 2000E": "1", "DTP 2000E": "AAH",
}  # fmt: skip
"""What the first element of a segment in its loop must be to count."""


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
class ReviewRequest:
    """One 278 request. Raises X12Error where a value cannot be what its field says.

    `control_number` (1 to 999999999) is ISA13 and GS06; `created` is aware, written in UTC to the second; `trace` has
    1 to 50 characters; `trace_originator` is TRN03, 10 characters; `reference` is BHT03 where it is not the trace.
    """

    sender_id: str
    receiver_id: str
    control_number: int
    trace: str
    payer_name: str
    payer_id: str
    provider_name: str
    provider_npi: str
    member: Member
    event: Event
    _: KW_ONLY
    created: datetime
    usage: str = "T"
    trace_originator: str = "9OUTRIDER1"
    sender_qualifier: str = "ZZ"
    receiver_qualifier: str = "ZZ"
    dependent: Dependent | None = None
    reference: str = ""

    def __post_init__(self) -> None:
        check_opening(self.control_number, self.trace, self.created, self.usage)
        if len(self.trace_originator) not in (0, 10):
            raise X12Error("bad-originator", "the trace's originator has 10 characters", "TRN03")

    @property
    def echo(self) -> str:
        """What BHT03 says, on the request and on its answer."""
        return self.reference or self.trace


def write_request(request: ReviewRequest) -> bytes:
    """The request as a whole 278 interchange. Raises X12Error if a value cannot be written."""
    created = request.created.astimezone(UTC)
    lines: list[Line] = [
        ("BHT", "0007", "13", request.echo, created.strftime("%Y%m%d"), created.strftime("%H%M%S")),
        *level_lines(request, "E"),
        ("TRN", "1", request.trace, request.trace_originator),
        *event_lines(request.event),
    ]
    return write_x12(
        [Draft("278", tuple(lines))],
        sender=request.sender_id,
        receiver=request.receiver_id,
        control_number=request.control_number,
        created=created,
        functional_id="HI",
        version=VERSION,
        usage=request.usage,
        sender_qualifier=request.sender_qualifier,
        receiver_qualifier=request.receiver_qualifier,
    )


def levels_of(request: ReviewRequest) -> list[tuple[str, str, list[Line]]]:
    """Letter, HL03 and names of each level, from the payer down."""
    member, dependent = request.member, request.dependent
    below: list[tuple[str, str, list[Line]]] = []
    if dependent is not None:
        below = [("D", "23", [person_line("QC", dependent), *demographic_lines(dependent)])]
    return [
        ("A", "20", [organisation_line("X3", request.payer_name, "PI", request.payer_id)]),
        ("B", "21", [organisation_line("1P", request.provider_name, "XX", request.provider_npi)]),
        ("C", "22", [person_line("IL", member), *demographic_lines(member)]),
        *below,
        ("E", "EV", []),
    ]


def level_lines(request: ReviewRequest, last: str) -> list[Line]:
    """The hierarchy from the payer down to level `last`; the patient event's own segments are left to the caller."""
    lines: list[Line] = []
    for number, (letter, code, names) in enumerate(levels_of(request), 1):
        more = "0" if letter == last else "1"
        lines += [("HL", str(number), str(number - 1) if number > 1 else "", code, more), *names]
        if letter == last:
            break
    return lines


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
        for key, code, what in (
            ("BHT ", "no-bht", "there is no BHT"),
            ("NM1 2010A", "no-payer", "there is no utilization management organisation (NM1*X3)"),
            ("NM1 2010B", "no-provider", "there is no requester"),
            ("NM1 2010C", "no-member", "there is no subscriber (NM1*IL)"),
            ("UM 2000E", "no-event", "there is no patient event (UM)"),
            ("TRN 2000E", "no-trn", "the patient event has no trace"),
        ):
            if key not in self.found:
                refuse(code, what, self.end)
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
        header = self.found["BHT "]
        return ReviewRequest(
            interchange.sender,
            interchange.receiver,
            int(interchange.control_number),
            trace.get(2),
            payer.get(3),
            payer.get(9),
            provider.get(3),
            provider.get(9) if provider.get(8) == "XX" else "",
            self._member(),
            self._event(),
            created=moment(header, self.end),
            usage=interchange.usage,
            trace_originator=trace.get(3),
            sender_qualifier=interchange.sender_qualifier,
            receiver_qualifier=interchange.receiver_qualifier,
            dependent=self._dependent(),
            reference=header.get(3) if header.get(3) != trace.get(2) else "",
        )

    def _member(self) -> Member:
        name = self.found["NM1 2010C"]
        return Member(name.get(3), name.get(4), name.get(9), *demographics(self.found.get("DMG 2010C")))

    def _dependent(self) -> Dependent | None:
        name = self.found.get("NM1 2010D")
        if name is None:
            return None
        return Dependent(name.get(3), name.get(4), *demographics(self.found.get("DMG 2010D")))

    def _event(self) -> Event:
        review, day, reason = (self.found.get(f"{name} 2000E") for name in ("UM", "DTP", "HI"))
        parts = reason.components(1, self.separators) if reason else ()
        diagnosis = parts[1] if len(parts) > 1 and parts[0] == _ICD_10 else ""
        category, service_type = (review.get(1), review.get(3)) if review else ("", "")
        return Event(category, service_type, day.get(3).partition("-")[0] if day else "", diagnosis)
