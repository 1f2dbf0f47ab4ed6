"""The professional claim as it is written: a submission as an 837.

Rules
-----
1. One submission is one interchange with one transaction set about one claim, as real time takes them.
2. BHT03 is the trace, CLM01 the claim's own number. A 277CA repeats both, a 999 neither: it repeats GS06 and ST02.
3. The claim hangs on the subscriber, or on the patient where that is a dependent. Only the patient has an address and
   demographics.

Source: X12 005010X222A1 (837, professional).
"""

from __future__ import annotations

from outrider.codecs import x12_exchange
from outrider.codecs.professional_claim_loops import CLAIM_VERSION
from outrider.codecs.professional_claim_values import Address, Claim, ServiceLine, Submission
from outrider.codecs.x12 import Composite, Line
from outrider.codecs.x12_exchange import Guide, Level, header_line, level_lines
from outrider.codecs.x12_request import demographic_lines, organisation_line, person_line

GUIDE = Guide("837", "HC", CLAIM_VERSION)
SET_CONTROL_NUMBER = "0001"
"""ST02 of what is written here: there is one set in it."""


def write_submission(submission: Submission) -> bytes:
    """The claim as a whole 837 interchange. Raises X12Error if a value cannot be written."""
    submitter = submission.submitter
    lines: list[Line] = [
        header_line("0019", "00", submission.trace, submission.created, "CH"),
        organisation_line("41", submitter.name, "46", submitter.identifier),
        ("PER", "IC", "", "TE", submitter.phone),
        organisation_line("40", submission.receiver_name, "46", submission.receiver_id),
        *level_lines(_levels(submission)),
        *_claim_lines(submission.claim),
    ]
    return x12_exchange.write_request(GUIDE, submission, lines)


def service_day_line(first: str, last: str) -> Line:
    """DTP of the days of service: one day (D8) or a range (RD8)."""
    return ("DTP", "472", "D8", first) if last in ("", first) else ("DTP", "472", "RD8", f"{first}-{last}")


def _levels(submission: Submission) -> list[Level]:
    """Billing provider, subscriber, and the patient where that is a dependent."""
    provider, dependent, claim = submission.provider, submission.dependent, submission.claim
    patient = [*_address_lines(submission.address), *demographic_lines(dependent or submission.member)]
    return [
        Level(
            "A",
            "20",
            [
                organisation_line("85", provider.name, "XX", provider.npi),
                *_address_lines(provider.address),
                ("REF", "EI", provider.tax_id),
            ],
        ),
        Level(
            "B",
            "22",
            [
                ("SBR", "P", "" if dependent else "18", "", "", "", "", "", "", claim.filing),
                person_line("IL", submission.member),
                *([] if dependent else patient),
                organisation_line("PR", submission.payer_name, "PI", submission.payer_id),
            ],
        ),
        *(
            [Level("C", "23", [("PAT", claim.relationship), person_line("QC", dependent), *patient])]
            if dependent
            else []
        ),
    ]


def _address_lines(address: Address) -> list[Line]:
    return [("N3", address.street), ("N4", address.city, address.state, address.zip_code)]


def _claim_lines(claim: Claim) -> list[Line]:
    place = Composite((claim.place_of_service, "B", claim.frequency))
    indicators = (claim.signature, claim.assignment, claim.benefits, claim.release)
    principal, *others = claim.diagnoses
    lines: list[Line] = [
        ("CLM", claim.identifier, claim.charge, "", "", place, *indicators),
        ("HI", Composite(("ABK", principal)), *(Composite(("ABF", other)) for other in others)),
    ]
    for number, line in enumerate(claim.lines, 1):
        lines += [("LX", str(number)), _service_line(line), service_day_line(line.first_day, line.last_day)]
    return lines


def _service_line(line: ServiceLine) -> Line:
    procedure = Composite(("HC", line.procedure, *line.modifiers))
    pointers = Composite(tuple(map(str, line.pointers)))
    return ("SV1", procedure, line.charge, line.basis, line.units, "", "", pointers)
