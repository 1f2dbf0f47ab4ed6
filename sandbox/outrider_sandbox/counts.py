"""What went through, counted, so that a load test can compare its own totals with ours.

Rules
-----
1. Each request is counted once as received, when its headers are in, and later once as answered (with the
   HTTP status that was sent, where it was HTTP) or as unanswered (the client left, or a fault cut the connection).
2. So received = answered + unanswered + what is being worked on at this moment.
3. Requests to the control endpoints are not counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """The counts of one kind of transaction."""

    received: int = 0
    unanswered: int = 0
    http: Counter[int] = field(default_factory=Counter)
    messages: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def answered(self) -> int:
        return self.http.total() + self.messages

    def view(self) -> dict[str, object]:
        """As JSON: {"received", "answered", "unanswered", "http": {"201": n}, "faults": {"hang": n}}."""
        return {
            "received": self.received,
            "answered": self.answered,
            "unanswered": self.unanswered,
            "http": {str(code): count for code, count in sorted(self.http.items())},
            "faults": dict(sorted(self.faults.items())),
        }


class Counts:
    """A tally for each component and kind of transaction, made when it is first needed."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}

    def tally(self, component: str, kind: str) -> Tally:
        return self._tallies.setdefault((component, kind), Tally())

    def view(self) -> dict[str, object]:
        """As JSON: {"totals": {...}, "components": {component: {kind: {...}}}}."""
        components: dict[str, dict[str, object]] = {}
        totals = Tally()
        for (component, kind), tally in sorted(self._tallies.items()):
            components.setdefault(component, {})[kind] = tally.view()
            totals.received += tally.received
            totals.unanswered += tally.unanswered
            totals.http.update(tally.http)
            totals.messages += tally.messages
            totals.faults.update(tally.faults)
        return {"totals": totals.view(), "components": components}
