"""The eligibility inquiry: who asks whom about which member, as a 270 and back.

Rules
-----
1. One inquiry is one interchange with one transaction set about one patient, as real time asks.
2. The trace stands in TRN02 of the patient's level and in BHT03; both come back on the answer.
3. The patient is the member, or the dependent if there is one.

Source: X12 005010X279A1 (270).
"""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass

from outrider.codecs.eligibility_loops import VERSION, walk
from outrider.codecs.x12 import Interchange, Line, Repeated, Segment, Transaction, X12Error, read
from outrider.codecs.x12_exchange import (
    Guide,
    Level,
    Request,
    header_line,
    level_lines,
    opening,
    require,
    write_request,
)
from outrider.codecs.x12_loops import refuse
from outrider.codecs.x12_request import (
    DATE,
    Dependent,
    Member,
    check_originator,
    demographic_lines,
    dependent_of,
    member_of,
    only_transaction,
    organisation_line,
    person_line,
)

_GUIDE = Guide("270", "HS", VERSION)
_CODE = re.compile(r"[A-Z0-9]{1,2}")
_WANTED = {
    "NM1 2100C": "IL", "NM1 2100D": "03", "TRN 2000C": "1", "TRN 2000D": "1",
    "DTP 2100C": "291", "DTP 2100D": "291", "DTP 2110C": "291", "DTP 2110D": "291",
}  # fmt: skip
"""What the first element of a segment in its loop must be to count; others (DTP*102, an issue date) are passed over."""
_REQUIRED = (
    ("NM1 2100A", "no-payer", "there is no information source (NM1*PR)"),
    ("NM1 2100B", "no-provider", "there is no information receiver"),
    ("NM1 2100C", "no-member", "there is no subscriber (NM1*IL)"),
)


@dataclass(frozen=True, slots=True)
class Inquiry(Request):
    """One 270. Raises X12Error where a value cannot be what its field says.

    `service_date` is "YYYYMMDD" in the payer's zone, "" for none; `trace_originator` is TRN03, 10 characters.
    """

    provider_name: str
    provider_npi: str
    member: Member
    _: KW_ONLY
    service_types: tuple[str, ...] = ("30",)
    service_date: str = ""
    trace_originator: str = "9OUTRIDER1"

    def __post_init__(self) -> None:
        Request.__post_init__(self)
        check_originator(self.trace_originator)
        if self.service_date and not DATE.fullmatch(self.service_date):
            raise X12Error("bad-date", "the service date is not YYYYMMDD", "DTP03")
        if not self.service_types or not all(map(_CODE.fullmatch, self.service_types)):
            raise X12Error("no-eq", "there must be service types, codes of one or two characters", "EQ01")


def write_inquiry(inquiry: Inquiry) -> bytes:
    """The inquiry as a whole 270 interchange. Raises X12Error if a value cannot be written."""
    trace: Line = ("TRN", "1", inquiry.trace, inquiry.trace_originator)
    question: list[Line] = [
        *([("DTP", "291", "D8", inquiry.service_date)] if inquiry.service_date else []),
        ("EQ", Repeated(inquiry.service_types)),
    ]
    *upper, patient = levels_of(inquiry)
    levels = [*upper, Level(patient.letter, patient.code, [trace, *patient.lines, *question])]
    header = header_line("0022", "13", inquiry.echo, inquiry.created)
    return write_request(_GUIDE, inquiry, [header, *level_lines(levels)])


def levels_of(inquiry: Inquiry) -> list[Level]:
    """Each level with its names, from the payer down to the patient."""
    dependent = inquiry.dependent
    return [
        Level("A", "20", [organisation_line("PR", inquiry.payer_name, "PI", inquiry.payer_id)]),
        Level("B", "21", [organisation_line("1P", inquiry.provider_name, "XX", inquiry.provider_npi)]),
        Level("C", "22", _person_lines("IL", inquiry.member)),
        *([Level("D", "23", _person_lines("03", dependent))] if dependent else []),
    ]


def _person_lines(entity: str, person: Member | Dependent) -> list[Line]:
    """NM1 of loop 2100C or 2100D, and DMG where there is something to say in it."""
    return [person_line(entity, person), *demographic_lines(person)]


def read_inquiry(raw: bytes) -> Inquiry:
    """Read a 270 interchange that holds one inquiry. Raises X12Error, and nothing else.

    Beside the codes of `x12.read`: wrong-set, wrong-version, hl-level, no-payer, no-provider, no-member, no-trn,
    no-eq, bad-date, bad-code. A name, id or birth date that is left out is read as "": whether the payer can do
    without is the payer's answer to give, not a defect of the message.
    """
    interchange = read(raw)
    transaction = only_transaction(interchange, "270", VERSION)
    parts = _Parts(transaction, interchange)
    member = parts.member()
    return Inquiry(
        **parts.opening,
        trace=parts.trace.get(2),
        payer_name=parts.payer.get(3),
        payer_id=parts.payer.get(9),
        provider_name=parts.provider.get(3),
        provider_npi=parts.provider.get(9) if parts.provider.get(8) == "XX" else "",
        member=member,
        service_types=tuple(parts.service_types),
        service_date=parts.service_date,
        trace_originator=parts.trace.get(3),
        dependent=parts.dependent(),
        reference=parts.reference if parts.reference != parts.trace.get(2) else "",
    )


class _Parts:
    """The segments of a 270 that an inquiry is made from, each in its loop."""

    def __init__(self, transaction: Transaction, interchange: Interchange) -> None:
        self.separators = interchange.separators
        self.found: dict[str, Segment] = {}
        self.service_types: list[str] = []
        end = transaction.segments[-1]
        for loop, segment in walk(transaction):
            end = segment
            self._take(loop, segment)
        require(self.found, _REQUIRED, end)
        self.patient = "D" if "HL 2000D" in self.found else "C"
        if f"NM1 2100{self.patient}" not in self.found:
            refuse("no-member", "the dependent has no name segment", end)
        trace = self.found.get(f"TRN 2000{self.patient}")
        if trace is None or not trace.get(2):
            refuse("no-trn", "the patient's level has no trace", end)
        if not self.service_types:
            refuse("no-eq", "nothing is asked for: there is no EQ01", end)
        self.trace = trace
        self.payer = self.found["NM1 2100A"]
        self.provider = self.found["NM1 2100B"]
        self.opening = opening(interchange, self.found.get("BHT "), end)
        self.reference = self.found["BHT "].get(3)
        self.service_date = self._service_date()

    def _take(self, loop: str, segment: Segment) -> None:
        key = f"{segment.id} {loop}"
        if _WANTED.get(key, segment.get(1)) != segment.get(1):
            return
        if segment.id == "EQ":
            self.service_types += segment.repeats(1, self.separators)
        elif segment.id == "HL" and key in self.found:
            refuse("wrong-set", "more than one inquiry in a transaction set; real time takes one", segment)
        else:
            self.found.setdefault(key, segment)

    def member(self) -> Member:
        return member_of(self.found["NM1 2100C"], self.found.get("DMG 2100C"))

    def dependent(self) -> Dependent | None:
        if self.patient == "C":
            return None
        return dependent_of(self.found["NM1 2100D"], self.found.get("DMG 2100D"))

    def _service_date(self) -> str:
        """DTP03 of the patient; the first day, if it is a range (RD8)."""
        date = self.found.get(f"DTP 2100{self.patient}") or self.found.get(f"DTP 2110{self.patient}")
        return date.get(3).partition("-")[0] if date else ""
