"""The loops of 005010X217 (278, request for review and response).

Level A is the utilization management organisation (the payer), B the requester (the provider), C the subscriber,
D the dependent, E the patient event that is to be authorised, F one service of it. Loop 2000 is the level itself,
2010 a name on it.
"""

from __future__ import annotations

from outrider.codecs.x12_loops import LoopPlan

VERSION = "005010X217"

PLAN = LoopPlan(
    levels={"20": "A", "21": "B", "22": "C", "23": "D", "EV": "E", "SS": "F"},
    parents={"A": ("",), "B": ("A",), "C": ("B",), "D": ("C",), "E": ("C", "D"), "F": ("E",)},
    openers={"NM1": {"2000": "2010"}},
)
