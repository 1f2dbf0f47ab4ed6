"""Window verification: what it is made from (`facts`), what it says (`report`), and how it is judged (`judging`, which
opens with the rules; `trouble`)."""

from __future__ import annotations

from outrider.core.verification.facts import Facts, Runs, Vantage, is_in_scope
from outrider.core.verification.judging import verify
from outrider.core.verification.report import RUNNING, Bystanding, Clearance, Trouble, Verification, told

__all__ = [
    "RUNNING",
    "Bystanding",
    "Clearance",
    "Facts",
    "Runs",
    "Trouble",
    "Vantage",
    "Verification",
    "is_in_scope",
    "told",
    "verify",
]
