"""The loops of 005010X217 (278, request for review and response).

Level A is the utilization management organisation (the payer), B the requester (the provider), C the subscriber,
D the dependent, E the patient event that is to be authorised, F one service of it. Loop 2000 is the level itself,
2010 a name on it.
"""

from __future__ import annotations

from dataclasses import replace

from outrider.codecs.x12_loops import HEADER, LoopPlan

VERSION = "005010X217"

PLAN = LoopPlan(
    levels={"20": "A", "21": "B", "22": "C", "23": "D", "EV": "E", "SS": "F"},
    parents={"A": ("",), "B": ("A",), "C": ("B",), "D": ("C",), "E": ("C", "D"), "F": ("E",)},
    openers={"NM1": {"2000": "2010"}},
)
_REVIEWED = frozenset(("2000E", "2000F"))
RESPONSE = replace(
    PLAN,
    homes={
        "BHT": HEADER,
        "TRN": _REVIEWED,
        "HCR": _REVIEWED,
        "AAA": _REVIEWED | {"2000A", "2010A", "2010B", "2010C", "2010D", "2010E", "2010F"},
    },
    entities={"2010C": "IL", "2010D": "QC"},
    told=frozenset(("HL", "TRN", "AAA", "HCR")),
)
