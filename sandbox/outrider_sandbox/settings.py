"""What a sandbox is started with. Valid from birth: a wrong value raises ValueError that names the field."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from outrider.codecs.iso8583 import BITMAPS
from outrider.codecs.iso8583_framing import Framing
from outrider_sandbox.gateway.avs_cvv import AVS_RESULTS, CVV_RESULTS

ONLY_277CA = "277CA"
ONLY_999 = "999"
BOTH_IN_TWO_GROUPS = "999+277CA"
BOTH_IN_TWO_INTERCHANGES = "999,277CA"
CLAIM_ANSWERS = (ONLY_277CA, ONLY_999, BOTH_IN_TWO_GROUPS, BOTH_IN_TWO_INTERCHANGES)
"""What a claim can be answered with: one acknowledgement, or both in one interchange or in two."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the sandbox listens and how it behaves when no fault is dialled in.

    `port` 0 takes a free one. `latency_median_ms` and `latency_sigma` shape the lognormal that each answer's
    latency is drawn from (sigma is of the logarithm; 0 makes it constant). An empty `api_key` or `core_username`
    switches that check off. `receiver_id` is the SenderID of the clearinghouse's own answers; it answers to any
    ReceiverID unless `strict_receiver`. `claim_answer` is one of CLAIM_ANSWERS. `settlement_s` is how long after its
    capture a payment can still be voided, and how long an ACH debit is pending. `decline_endings` maps the last two
    digits of an amount to a decline code. `declined_avs` and `declined_cvv` are the results
    (`outrider_sandbox.gateway.avs_cvv`) that are declined; others are only reported. `keep` bounds the payments, tokens
    and idempotency keys that are remembered. `services` are those that are not HTTP, each with its port (0: a free
    one); one that is not named is not served. The card switch reads and writes messages in `switch_framing`, with
    bitmaps in `switch_bitmap` (hex, binary), and leaves a client that says nothing for `switch_idle_s`.
    """

    host: str = "127.0.0.1"
    port: int = 8270
    seed: int = 1
    latency_median_ms: float = 60.0
    latency_sigma: float = 0.35
    partner: str = "OUTRIDER TEST NETWORK"
    receiver_id: str = "OUTRIDERSANDBOX"
    strict_receiver: bool = False
    core_username: str = ""
    core_password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    claim_answer: str = ONLY_277CA
    settlement_s: float = 86_400.0
    decline_endings: tuple[tuple[str, str], ...] = (("05", "do_not_honor"),)
    declined_avs: str = ""
    declined_cvv: str = ""
    keep: int = 20_000
    services: Mapping[str, int] = field(default_factory=dict)
    switch_framing: Framing = field(default_factory=Framing)
    switch_bitmap: str = "hex"
    switch_idle_s: float = 60.0

    def __post_init__(self) -> None:
        _between("port", self.port, 0, 65_535)
        _between("latency_median_ms", self.latency_median_ms, 0, 60_000)
        _between("latency_sigma", self.latency_sigma, 0, 3)
        _between("settlement_s", self.settlement_s, 0, 366 * 86_400)
        _between("keep", self.keep, 1, 10_000_000)
        for name, port in self.services.items():
            _between(f"services: {name}", port, 0, 65_535)
        _between("switch_idle_s", self.switch_idle_s, 0.01, 86_400)
        if self.switch_bitmap not in BITMAPS:
            raise ValueError(f"switch_bitmap: {self.switch_bitmap!r} is not one of {', '.join(BITMAPS)}")
        if not self.host:
            raise ValueError("host: is empty; name an address to listen on, such as 127.0.0.1")
        if not re.fullmatch(r"[A-Z0-9]{2,15}", self.receiver_id):
            raise ValueError("receiver_id: needs 2 to 15 capital letters and digits, it must fit ISA06 and GS02")
        if self.claim_answer not in CLAIM_ANSWERS:
            raise ValueError(f"claim_answer: {self.claim_answer!r} is not one of {' '.join(CLAIM_ANSWERS)}")
        for name, chosen, known in (
            ("declined_avs", self.declined_avs, AVS_RESULTS),
            ("declined_cvv", self.declined_cvv, CVV_RESULTS),
        ):
            if set(chosen) - set(known):
                raise ValueError(f"{name}: {chosen!r} is not made of the results {', '.join(known)}")
        for ending, _ in self.decline_endings:
            if not re.fullmatch(r"\d\d", ending):
                raise ValueError(f"decline_endings: {ending!r} is not two digits")


def _between(name: str, value: float, low: float, high: float) -> None:
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name}: {value} is not between {low} and {high}")
