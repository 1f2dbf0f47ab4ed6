"""Where sockets to targets are made: nowhere else, and only to an address that the policy has seen.

Rules
-----
1. A host and port that the policy refuses are not even looked up.
2. The address that was checked is the one that is connected to: nothing is looked up again in between.
3. An address that is refused is passed over. Where another one of the same host takes the connection, that is the
   service's answer; where none does, the agent has not tried all that there is, and says that it was its policy.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from outrider.core.outcome import Finding
from outrider.transport.policy import Policy, Refusal

POLICY_PLACE = "agent/policy"
_LONGEST = 200


class RefusedError(OSError):
    """The policy does not let a socket be made."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


class Gate:
    """One exchange's way out to one host and port. `reached` is for the wire to set: a peer took the connection."""

    def __init__(self, policy: Policy, host: str, port: int) -> None:
        self._policy = policy
        self._host = host
        self._port = port
        self._refused: Refusal | None = None
        self.reached = False

    def check(self) -> None:
        """Raise RefusedError for a host, a port, or an address as host that the policy refuses (rule 1)."""
        if 0 < self._port < 65_536:  # what is no port is told as one that cannot be
            self._raise_if(self._policy.refusal(self._host, None, self._port))

    def socket(self, family: int, kind: int, address: tuple[Any, ...]) -> socket.socket:
        """A socket, not blocking, to be connected to this very address: (IP address, port, ...). Raises RefusedError,
        OSError."""
        host, port = str(address[0]), int(address[1])
        try:
            ipaddress.ip_address(host)  # a spelling that a system reads in its own way is read by nobody
        except ValueError:
            self._raise_if(Refusal("address", f"{self._host} leads to {host!r}, which is no address as it is written"))
        self._raise_if(self._policy.refusal(self._host, host, port))
        made = socket.socket(family, kind)
        made.setblocking(False)
        return made

    def _raise_if(self, refusal: Refusal | None) -> None:
        if refusal is not None:
            self._refused = refusal
            raise RefusedError(refusal)

    def instead_of(self, failure: Finding | None) -> Finding | None:
        """What the failure of the exchange was in truth: the policy's doing, where rule 3 says so."""
        if failure is None or self._refused is None or self.reached:
            return failure
        return Finding(f"{self._refused.rule}-refused", POLICY_PLACE, self._refused.words[:_LONGEST])
