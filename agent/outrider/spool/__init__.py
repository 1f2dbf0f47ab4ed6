"""The agent's durable outbox: every result goes here first, and leaves when the collector has synced it.

`Outbox` is what the agent uses; `file.SpoolFile` is the SQLite file behind it, `totals` what all its
records hang on, `salvage` what is taken over from a damaged one.
"""

from outrider.spool.file import DEFAULT_QUOTA, SpoolError
from outrider.spool.outbox import CONTROL_NUMBERS_PER_AGENT, HIGHEST_NUMBER, Outbox, conservation

__all__ = [
    "CONTROL_NUMBERS_PER_AGENT",
    "DEFAULT_QUOTA",
    "HIGHEST_NUMBER",
    "Outbox",
    "SpoolError",
    "conservation",
]
