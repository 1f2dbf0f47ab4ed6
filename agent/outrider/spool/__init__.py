"""The agent's durable outbox: every result goes here first, and leaves when the collector has synced it.

`Outbox` is what the agent uses; `file.SpoolFile` is the SQLite file behind it, `totals` what all its records hang on,
`place` where it lies, `room` what goes when it is full, `recall` what a collector is sent again, `salvage` what is
taken over from a damaged one.
"""

from outrider.spool.examination import Examined, examine
from outrider.spool.file import DEFAULT_QUOTA
from outrider.spool.outbox import CONTROL_NUMBERS_PER_AGENT, HIGHEST_NUMBER, Outbox, conservation
from outrider.spool.place import SpoolError
from outrider.spool.recall import Recalled

__all__ = [
    "CONTROL_NUMBERS_PER_AGENT",
    "DEFAULT_QUOTA",
    "HIGHEST_NUMBER",
    "Examined",
    "Outbox",
    "Recalled",
    "SpoolError",
    "conservation",
    "examine",
]
