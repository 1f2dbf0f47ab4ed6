"""The loops of 005010X222A1 (837, professional) and of 005010X214 (277, the claim acknowledgement, "277CA").

In a claim, level A is the billing provider, B the subscriber, C the patient where that is somebody else. Loop 2000 is
the level itself, 2010 a name on it, 2300 the claim, 2310 a name that belongs to it, 2320 and 2330 another payer, 2400 a
service line and 2410 to 2440 what belongs to one.

In an acknowledgement, level A is the information source (who answers), B the information receiver (who submitted), C
the billing provider, D the patient. Loop 2100 is a name, 2200 a trace and what it is about, 2220 a service line.
"""

from __future__ import annotations

from outrider.codecs.x12_loops import LoopPlan

CLAIM_VERSION = "005010X222A1"
ACKNOWLEDGEMENT_VERSION = "005010X214"

_NAMED = {"2000": "2010", "2010": "2010", "2300": "2310", "2310": "2310", "2320": "2330", "2330": "2330"}
_LEVEL = ("2000", "2010")
_CLAIM = ("2300", "2310", "2320", "2330")
_SERVICE = ("2400", "2410", "2420", "2430", "2440")

CLAIM = LoopPlan(
    levels={"20": "A", "22": "B", "23": "C"},
    parents={"A": ("",), "B": ("A",), "C": ("B",)},
    openers={
        "NM1": {**_NAMED, **dict.fromkeys(_SERVICE, "2420")},
        "CLM": dict.fromkeys((*_LEVEL, *_CLAIM, *_SERVICE), "2300"),
        "SBR": dict.fromkeys(_CLAIM, "2320"),
        "LX": dict.fromkeys((*_CLAIM, *_SERVICE), "2400"),
        "LIN": dict.fromkeys(_SERVICE, "2410"),
        "SVD": dict.fromkeys(_SERVICE, "2430"),
        "LQ": dict.fromkeys(_SERVICE, "2440"),
    },
)

_TRACED = ("2000", "2100", "2200", "2220")
ACKNOWLEDGEMENT = LoopPlan(
    levels={"20": "A", "21": "B", "19": "C", "PT": "D"},
    parents={"A": ("",), "B": ("A",), "C": ("B",), "D": ("C",)},
    openers={
        "NM1": dict.fromkeys(_TRACED, "2100"),
        "TRN": dict.fromkeys(_TRACED, "2200"),
        "SVC": {"2200": "2220", "2220": "2220"},
    },
)
