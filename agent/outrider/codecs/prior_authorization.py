"""Prior authorisation by X12 005010X217: 278 requests for review and their answers. This is the name to import.

The agent writes requests and reads answers (`write_request`, `read_response`); the sandbox reads requests and writes
answers (`read_request`, `write_response`). The parts stand in the prior_authorization_* modules beside it.
"""

from __future__ import annotations

from outrider.codecs.prior_authorization_loops import VERSION
from outrider.codecs.prior_authorization_reading import read_response
from outrider.codecs.prior_authorization_request import Event, ReviewRequest, read_request, write_request
from outrider.codecs.prior_authorization_response import Decision, ReviewRejection, write_response
from outrider.codecs.x12_request import Dependent, Member

__all__ = [
    "VERSION",
    "Decision",
    "Dependent",
    "Event",
    "Member",
    "ReviewRejection",
    "ReviewRequest",
    "read_request",
    "read_response",
    "write_request",
    "write_response",
]
