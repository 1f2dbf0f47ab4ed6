"""What a claim gets: the people are judged as for eligibility, and the answer takes the shape that was agreed on.

Rules
-----
1. Payer, provider, subscriber and dependent are judged by `members`; each reason has its claim status
   (`REJECTIONS`). A provider that is not on file is told in 2200C, a payer that does not answer in 2200B, the rest at
   the claim (2200D).
2. A patient without coverage on the first day of service is rejected (A3, status 88). Any other claim is accepted (A2),
   and gets a number of the payer's. Nothing is kept: the same claim may come again.
3. The answer is a 277CA, a 999, or both: in two groups, or in two interchanges (`Settings.claim_answer`).

Sources: X12 005010X214; X12C 005010X231A1; code lists 507 (claim status category) and 508 (claim status).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from outrider.codecs import professional_claim, x12
from outrider.codecs.eligibility import Inquiry
from outrider.codecs.professional_claim import ACCEPTED, ACKNOWLEDGEMENT_VERSION, Submission, Verdict
from outrider.codecs.x12_exchange import write_answer_groups
from outrider_sandbox.clearinghouse.acknowledge import VERSION_999, draft_verdict
from outrider_sandbox.clearinghouse.members import RECORDS, judge
from outrider_sandbox.settings import BOTH_IN_TWO_GROUPS, BOTH_IN_TWO_INTERCHANGES, ONLY_277CA, ONLY_999

REJECTIONS: Mapping[str, Verdict] = {
    "42": Verdict("E2", "0", "2200B"),
    "80": Verdict("E2", "0", "2200B"),
    "51": Verdict("A7", "562", "2200C", "85"),
    "79": Verdict("A3", "26", entity="PR"),
    "72": Verdict("A7", "164", entity="IL"),
    "75": Verdict("A3", "33", entity="IL"),
    "71": Verdict("A8", "158", entity="IL"),
    "73": Verdict("A8", "125", entity="IL"),
    "67": Verdict("A3", "97", entity="PR"),
}
"""By the reason (AAA03) that eligibility would give."""

NOT_COVERED = Verdict("A3", "88", entity="IL")

MEANINGS: Mapping[str, str] = {
    "a member with coverage": "accepted (A2, status 20)",
    "a member without": "rejected (A3, status 88)",
    "a member or dependent that is not on file": "rejected (A3, status 33 or 97)",
    "an invalid member id": "rejected (A7, status 164)",
    "a birth date or name that does not fit": "rejected (A8, status 158 or 125)",
    "a payer that is not on file": "rejected (A3, status 26)",
    "a provider that is not on file": "rejected in 2200C (A7, status 562)",
    "a payer that does not answer": "E2 in 2200B",
}


def judge_submission(submission: Submission) -> Verdict:
    """Look the claim's people up. Pure."""
    rejection = judge(_as_inquiry(submission)).rejection
    if rejection is not None:
        verdict = REJECTIONS[rejection.code]
        return replace(verdict, entity="QC") if rejection.loop == "2100D" and verdict.entity == "IL" else verdict
    record = RECORDS[submission.member.member_id]
    first, _ = submission.claim.days
    return ACCEPTED if record.is_active and first >= record.begins else NOT_COVERED


def answer_999(
    payload: bytes, submission: Submission, code: str, *, control_number: int, created: datetime, is_wrong: bool
) -> bytes:
    """A 999 alone with this verdict; with `is_wrong` about somebody else's group."""
    group = _group_999(payload, code, control_number, is_wrong=is_wrong)
    return write_answer_groups(submission, [group], control_number=control_number, created=created)


def answer_claim(
    payload: bytes,
    submission: Submission,
    shape: str,
    verdict: Verdict,
    *,
    control_numbers: tuple[int, int],
    created: datetime,
    trace: str | None,
) -> bytes:
    """The answer in the shape that was agreed on; `trace`, where it is given, makes all of it somebody else's."""
    first, second = control_numbers
    accepting = _group_999(payload, "A", first, is_wrong=trace is not None)
    lines = professional_claim.response_lines(
        submission,
        control_number=second,
        created=created,
        verdict=verdict,
        payer_claim=f"OUT{second}" if verdict.accepts else "",
        trace=trace,
    )
    status = x12.DraftGroup("HN", ACKNOWLEDGEMENT_VERSION, (x12.Draft("277", tuple(lines)),), second)
    interchanges = {
        ONLY_277CA: [(second, [status])],
        ONLY_999: [(first, [accepting])],
        BOTH_IN_TWO_GROUPS: [(first, [accepting, status])],
        BOTH_IN_TWO_INTERCHANGES: [(first, [accepting]), (second, [status])],
    }
    return b"".join(
        write_answer_groups(submission, groups, control_number=number, created=created)
        for number, groups in interchanges[shape]
    )


def _group_999(payload: bytes, code: str, control_number: int, *, is_wrong: bool) -> x12.DraftGroup:
    draft = draft_verdict(payload, code, group=str(control_number) if is_wrong else "")
    return x12.DraftGroup("FA", VERSION_999, (draft,), control_number)


def _as_inquiry(submission: Submission) -> Inquiry:
    return Inquiry(
        submission.sender_id,
        submission.receiver_id,
        submission.control_number,
        submission.trace,
        submission.payer_name,
        submission.payer_id,
        submission.provider.name,
        submission.provider.npi,
        submission.member,
        created=submission.created,
        dependent=submission.dependent,
    )
