"""The answer to a claim as a payer, or the network between, writes it: a 277CA to an 837.

Rules
-----
1. The answer goes back the way the claim came: sender and receiver change places, usage stays.
2. Every level says how it fared: receipt of the whole (2200B) and of the provider's claims (2200C), then the claim
   itself (2200D). What rejects ends the hierarchy at its level; totals count the one claim as accepted or rejected.
3. TRN02 is the claim's BHT03 in 2200B and its CLM01 in 2200D. In 2200A and 2200C it is the answerer's own.

Source: X12 005010X214 (277, claim acknowledgement); code lists 507 (claim status category) and 508 (claim status).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from outrider.codecs.claim_status_response import CATEGORY, CODE
from outrider.codecs.professional_claim_loops import ACKNOWLEDGEMENT_VERSION
from outrider.codecs.professional_claim_request import service_day_line
from outrider.codecs.professional_claim_values import Submission
from outrider.codecs.x12 import Composite, Line, X12Error
from outrider.codecs.x12_exchange import Guide, Level, header_line, level_lines, write_answer
from outrider.codecs.x12_request import organisation_line, person_line

GUIDE = Guide("277", "HN", ACKNOWLEDGEMENT_VERSION)

ACCEPTING = frozenset(("A0", "A1", "A2", "A5"))
"""Categories with which something is taken on: forwarded, received, accepted, split."""

REJECTING = frozenset(("A3", "A4", "A6", "A7", "A8", "E1", "E2", "E3", "E4"))
"""Categories with which it is not: unprocessable, not found, missing, invalid, contradictory; E in real time alone."""

LOOPS = ("2200B", "2200C", "2200D")

_ENTITY = re.compile(r"[A-Z0-9]{2,3}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One STC: the category (STC01-1), the status (STC01-2), its loop, and the entity that it is about (STC01-3)."""

    category: str
    code: str
    loop: str = "2200D"
    entity: str = ""

    def __post_init__(self) -> None:
        if not CATEGORY.fullmatch(self.category) or not CODE.fullmatch(self.code):
            raise X12Error("bad-code", "this is no claim status category, or no claim status", "STC01")
        if self.entity and not _ENTITY.fullmatch(self.entity):
            raise X12Error("bad-code", "an entity has two or three capitals or digits", "STC01")
        if self.loop not in LOOPS:
            raise X12Error("bad-loop", f"a verdict stands in one of {', '.join(LOOPS)}", "STC")

    @property
    def accepts(self) -> bool:
        return self.category in ACCEPTING


ACCEPTED = Verdict("A2", "20")
"""Accepted for processing."""

_RECEIVED = ("A1", "19", "PR")


def write_response(
    submission: Submission,
    *,
    control_number: int,
    created: datetime,
    verdict: Verdict = ACCEPTED,
    payer_claim: str = "",
    trace: str | None = None,
) -> bytes:
    """The 277CA that answers `submission`; `payer_claim` is the payer's number for a claim that it took (REF*1K).

    `trace` stands in place of both numbers that are echoed (fault injection). Raises X12Error as `x12.write` does.
    """
    lines = response_lines(
        submission,
        control_number=control_number,
        created=created,
        verdict=verdict,
        payer_claim=payer_claim,
        trace=trace,
    )
    return write_answer(GUIDE, submission, lines, control_number=control_number, created=created)


def response_lines(
    submission: Submission,
    *,
    control_number: int,
    created: datetime,
    verdict: Verdict,
    payer_claim: str = "",
    trace: str | None = None,
) -> list[Line]:
    """What stands between ST and SE; see `write_response`."""
    own = f"S{control_number}"
    day = created.astimezone(UTC).strftime("%Y%m%d")
    submitter, provider, claim = submission.submitter, submission.provider, submission.claim
    echoed, claim_echoed = (submission.trace, claim.identifier) if trace is None else (trace, trace)
    first, last = claim.days
    levels = [
        Level(
            "A",
            "20",
            [
                organisation_line("PR", submission.payer_name, "PI", submission.payer_id),
                ("TRN", "1", own),
                ("DTP", "050", "D8", day),
                ("DTP", "009", "D8", day),
            ],
        ),
        Level(
            "B",
            "21",
            [
                organisation_line("41", submitter.name, "46", submitter.identifier),
                ("TRN", "2", echoed),
                *_status_lines("2200B", verdict, claim.charge, day),
                *_totals(verdict, claim.charge, accepted="90", rejected="AA"),
            ],
        ),
        Level(
            "C",
            "19",
            [
                organisation_line("85", provider.name, "XX", provider.npi),
                ("TRN", "1", own),
                *_status_lines("2200C", verdict, claim.charge),
                *_totals(verdict, claim.charge, accepted="QA", rejected="QC"),
            ],
        ),
        Level(
            "D",
            "PT",
            [
                _patient_line(submission),
                ("TRN", "2", claim_echoed),
                *_status_lines("2200D", verdict, claim.charge, day),
                *([("REF", "1K", payer_claim)] if payer_claim else []),
                service_day_line(first, last),
            ],
            says_what_follows=False,
        ),
    ]
    deepest = "D" if verdict.accepts else verdict.loop[-1]
    return [header_line("0085", "08", own, created, "TH"), *level_lines(levels, deepest)]


def _status_lines(loop: str, verdict: Verdict, charge: str, day: str = "") -> list[Line]:
    """STC of one level: the verdict on its own, receipt above it, acceptance below."""
    if loop == verdict.loop:
        said, accepts = (verdict.category, verdict.code, verdict.entity), verdict.accepts
    else:
        said, accepts = (_RECEIVED if loop != "2200D" else (ACCEPTED.category, ACCEPTED.code, "")), True
    return [("STC", Composite(said), day, "WQ" if accepts else "U", charge)]


def _totals(verdict: Verdict, charge: str, *, accepted: str, rejected: str) -> list[Line]:
    """QTY and AMT of the one claim."""
    if verdict.accepts:
        return [("QTY", accepted, "1"), ("AMT", "YU", charge)]
    return [("QTY", rejected, "1"), ("AMT", "YY", charge)]


def _patient_line(submission: Submission) -> Line:
    """NM1*QC with the subscriber's id, whoever the patient is."""
    patient = submission.dependent or submission.member
    return (*person_line("QC", patient)[:8], "MI", submission.member.member_id)
