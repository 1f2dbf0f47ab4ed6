"""What a request for prior authorisation gets: the people are judged as for eligibility, the service by its type.

Rules
-----
1. Payer, provider, subscriber and dependent are judged by `members`; a rejection keeps its reason and
   its level (2100C there is 2010C here).
2. A member without coverage is rejected (AAA 95, patient not eligible, in 2010C).
3. Then the type of service decides (`DECISIONS`); any other type needs no authorisation (NA).

Source: X12 005010X217 (HCR01, AAA03).
"""

from __future__ import annotations

from collections.abc import Mapping

from outrider.codecs.eligibility import Inquiry
from outrider.codecs.prior_authorization import Decision, ReviewRejection, ReviewRequest
from outrider_sandbox.clearinghouse.members import RECORDS, judge

DECISIONS: Mapping[str, Decision] = {
    "3": Decision("A1", "OUTAUTH0001"),
    "2": Decision("A4", "OUTREVIEW0002"),
    "86": Decision("CT"),
    "45": Decision("A3"),
}
"""By UM03."""

MEANINGS: Mapping[str, str] = {
    "3": "certified in total (A1)",
    "2": "pended (A4)",
    "86": "contact the payer (CT)",
    "45": "not certified (A3)",
    "any other": "no authorisation needed (NA)",
}


def judge_review(request: ReviewRequest) -> Decision | ReviewRejection:
    """Look the request up. Pure."""
    rejection = judge(_as_inquiry(request)).rejection
    if rejection is not None:
        return ReviewRejection(rejection.code, rejection.loop.replace("2100", "2010"), rejection.follow_up)
    if not RECORDS[request.member.member_id].is_active:
        return ReviewRejection("95", "2010C", "N")
    return DECISIONS.get(request.event.service_type, Decision("NA"))


def _as_inquiry(request: ReviewRequest) -> Inquiry:
    return Inquiry(
        request.sender_id,
        request.receiver_id,
        request.control_number,
        request.trace,
        request.payer_name,
        request.payer_id,
        request.provider_name,
        request.provider_npi,
        request.member,
        created=request.created,
        dependent=request.dependent,
    )
