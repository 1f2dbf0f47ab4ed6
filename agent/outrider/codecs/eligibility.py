"""Eligibility by X12 005010X279A1: 270 inquiries and 271 answers. This is the name to import.

The agent writes inquiries and reads answers (`write_inquiry`, `read_response`); the sandbox reads inquiries and
writes answers (`read_inquiry`, `write_response`). The parts stand in the eligibility_* modules beside it.
"""

from __future__ import annotations

from outrider.codecs.eligibility_answer import Benefit, Rejection, write_response
from outrider.codecs.eligibility_inquiry import Inquiry, read_inquiry, write_inquiry
from outrider.codecs.eligibility_loops import VERSION
from outrider.codecs.eligibility_reading import read_response
from outrider.codecs.x12_request import Dependent, Member

__all__ = [
    "VERSION",
    "Benefit",
    "Dependent",
    "Inquiry",
    "Member",
    "Rejection",
    "read_inquiry",
    "read_response",
    "write_inquiry",
    "write_response",
]
