"""The loops of 005010X212 (276 and 277).

Level A is the information source (the payer), B the information receiver (who asks), C the provider of service,
D the subscriber, E the dependent. Loop 2000 is the level itself, 2100 its name, 2200 a trace and what it is about
(a claim, at D and E), 2210 (276) or 2220 (277) a service line of the claim.
"""

from __future__ import annotations

from dataclasses import replace

from outrider.codecs.x12_loops import HEADER, LoopPlan

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

_ANSWER = _plan("2220")
_TRACED = frozenset(("2200B", "2200C", "2200D", "2200E"))
_LINES = frozenset(("2220D", "2220E"))
RESPONSE = replace(
    _ANSWER,
    openers={**_ANSWER.openers, "TRN": dict.fromkeys(("2100", "2200", "2220"), "2200")},
    homes={"BHT": HEADER, "TRN": _TRACED, "STC": _TRACED | _LINES, "SVC": _LINES},
    entities={"2100A": "PR", "2100B": "41", "2100C": "1P", "2100D": "IL", "2100E": "QC"},
    told=frozenset(("HL", "TRN", "STC")),
)
"""A trace belongs to somebody who has been named."""
