"""What the steps of every X12 transaction say alike: the envelope's parties, the payer, the provider, the patient."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from outrider.codecs import x12_request


class Party(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An organisation and its id: the payer's, or the provider's NPI."""

    name: str
    id: str


class Dependent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A made-up patient who is insured through the member. `birth_date` is YYYYMMDD."""

    last: str
    first: str
    birth_date: str
    gender: Literal["", "F", "M", "U"] = ""

    def for_codec(self) -> x12_request.Dependent:
        return x12_request.Dependent(self.last, self.first, self.birth_date, self.gender)


class Member(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A made-up member. `birth_date` is YYYYMMDD."""

    last: str
    first: str
    id: str
    birth_date: str
    gender: Literal["", "F", "M", "U"] = ""

    def for_codec(self) -> x12_request.Member:
        return x12_request.Member(self.last, self.first, self.id, self.birth_date, self.gender)


class CoreRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every step says. `usage` is ISA15: T for test, P for production. A `dependent` is the patient.

    `username` and `password` go into the envelope; without one they stand in the target's headers.
    """

    path: str
    envelope: Literal["core-mime", "core-soap", "none"] = "core-mime"
    sender: str
    receiver: str
    payer: Party
    provider: Party
    member: Member
    dependent: Dependent | None = None
    usage: Literal["T", "P"] = "T"
    username: str = ""
    password: str = ""

    def matched(self, drawn: Drawn) -> dict[str, str]:
        """What the answer has to bring back."""
        return {"trace": drawn.trace, "control_number": str(drawn.control_number)}

    @property
    def patient(self) -> x12_request.Dependent | None:
        return self.dependent.for_codec() if self.dependent else None


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is drawn for each request anew. `today` is "YYYY-MM-DD"."""

    trace: str
    control_number: int
    now: datetime
    today: str
