"""The network to probe when none is at hand: a clearinghouse, a payment gateway and a portal on one address.

Everything in it is made up: members, payers and cards (published test numbers only). Nothing that is sent to it
leaves it. Faults are dialled in at run time, see `outrider_sandbox.faults`.
"""

from __future__ import annotations

from outrider_sandbox.app import Addresses, build_app, serve
from outrider_sandbox.faults import Fault, FaultError, parse_fault
from outrider_sandbox.settings import Settings

__all__ = ["Addresses", "Fault", "FaultError", "Settings", "build_app", "parse_fault", "serve"]
