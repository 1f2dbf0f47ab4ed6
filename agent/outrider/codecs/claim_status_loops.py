"""The loops of 005010X212 (276 and 277).

Level A is the information source (the payer), B the information receiver (who asks), C the provider of service,
D the subscriber, E the dependent. Loop 2000 is the level itself, 2100 its name, 2200 a trace and what it is about
(a claim, at D and E), 2210 (276) or 2220 (277) a service line of the claim.
"""

from __future__ import annotations

from outrider.codecs.x12_loops import LoopPlan

VERSION = "005010X212"


def _plan(service_line: str) -> LoopPlan:
    everywhere = ("2000", "2100", "2200", service_line)
    return LoopPlan(
        levels={"20": "A", "21": "B", "19": "C", "22": "D", "23": "E"},
        parents={"A": ("",), "B": ("A",), "C": ("B",), "D": ("C",), "E": ("D",)},
        openers={
            "NM1": dict.fromkeys(everywhere, "2100"),
            "TRN": dict.fromkeys(everywhere, "2200"),
            "SVC": {"2200": service_line},
        },
    )


REQUEST = _plan("2210")
RESPONSE = _plan("2220")
