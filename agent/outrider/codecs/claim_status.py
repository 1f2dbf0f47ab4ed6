"""Claim status by X12 005010X212: 276 requests and 277 answers. This is the name to import.

The agent writes requests and reads answers (`write_request`, `read_response`); the sandbox reads requests and writes
answers (`read_request`, `write_response`). The parts stand in the claim_status_* modules beside it.
"""

from __future__ import annotations

from outrider.codecs.claim_status_loops import VERSION
from outrider.codecs.claim_status_reading import read_response
from outrider.codecs.claim_status_request import Claim, ClaimInquiry, read_request, write_request
from outrider.codecs.claim_status_response import ClaimStatus, write_response
from outrider.codecs.x12_request import Dependent, Member

__all__ = [
    "VERSION",
    "Claim",
    "ClaimInquiry",
    "ClaimStatus",
    "Dependent",
    "Member",
    "read_request",
    "read_response",
    "write_request",
    "write_response",
]
