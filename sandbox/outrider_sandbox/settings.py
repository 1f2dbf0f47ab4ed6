"""What a sandbox is started with. Valid from birth: a wrong value raises ValueError that names the field."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the sandbox listens and how it behaves when no fault is dialled in.

    `port` 0 takes a free one. `latency_median_ms` and `latency_sigma` shape the lognormal that each answer's
    latency is drawn from (sigma is of the logarithm; 0 makes it constant). An empty `api_key` or `core_username`
    switches that check off. `receiver_id` is the SenderID of the clearinghouse's own answers; it answers to any
    ReceiverID unless `strict_receiver`. `settlement_s` is how long after its capture a payment can still be
    voided. `decline_endings` maps the last two digits of an amount to a decline code. `keep` bounds the
    payments and the idempotency keys that are remembered. `services` are those that are not HTTP, each with its port
    (0: a free one); one that is not named is not served.
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
    settlement_s: float = 86_400.0
    decline_endings: tuple[tuple[str, str], ...] = (("05", "do_not_honor"),)
    keep: int = 20_000
    services: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _between("port", self.port, 0, 65_535)
        _between("latency_median_ms", self.latency_median_ms, 0, 60_000)
        _between("latency_sigma", self.latency_sigma, 0, 3)
        _between("settlement_s", self.settlement_s, 0, 366 * 86_400)
        _between("keep", self.keep, 1, 10_000_000)
        for name, port in self.services.items():
            _between(f"services: {name}", port, 0, 65_535)
        if not self.host:
            raise ValueError("host: is empty; name an address to listen on, such as 127.0.0.1")
        if not re.fullmatch(r"[A-Z0-9]{2,15}", self.receiver_id):
            raise ValueError("receiver_id: needs 2 to 15 capital letters and digits, it must fit ISA06 and GS02")
        for ending, _ in self.decline_endings:
            if not re.fullmatch(r"\d\d", ending):
                raise ValueError(f"decline_endings: {ending!r} is not two digits")


def _between(name: str, value: float, low: float, high: float) -> None:
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name}: {value} is not between {low} and {high}")
