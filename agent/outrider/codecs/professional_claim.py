"""Professional claims by X12 005010X222A1 (837), acknowledged by 005010X214 (277CA) or by a 999 alone. This is the name
to import.

The agent writes submissions and reads answers (`write_submission`, `read_response`); the sandbox reads submissions and
writes answers (`read_submission`, `write_response`). The parts stand in the professional_claim_* modules beside it.
"""

from __future__ import annotations

from outrider.codecs.professional_claim_loops import ACKNOWLEDGEMENT_VERSION, CLAIM_VERSION
from outrider.codecs.professional_claim_reading import read_response
from outrider.codecs.professional_claim_request import SET_CONTROL_NUMBER, write_submission
from outrider.codecs.professional_claim_request_reading import read_submission
from outrider.codecs.professional_claim_response import ACCEPTED, Verdict, response_lines, write_response
from outrider.codecs.professional_claim_values import (
    MOST_OF_A_CLAIM_ID,
    MOST_OF_A_REFERENCE,
    Address,
    BillingProvider,
    Claim,
    ServiceLine,
    Submission,
    Submitter,
)
from outrider.codecs.x12_request import Dependent, Member

__all__ = [
    "ACCEPTED",
    "ACKNOWLEDGEMENT_VERSION",
    "CLAIM_VERSION",
    "MOST_OF_A_CLAIM_ID",
    "MOST_OF_A_REFERENCE",
    "SET_CONTROL_NUMBER",
    "Address",
    "BillingProvider",
    "Claim",
    "Dependent",
    "Member",
    "ServiceLine",
    "Submission",
    "Submitter",
    "Verdict",
    "read_response",
    "read_submission",
    "response_lines",
    "write_response",
    "write_submission",
]
