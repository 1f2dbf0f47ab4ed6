"""The shape of an agent's file, for msgspec: keys, their defaults, and what each is for."""

from __future__ import annotations

import msgspec

from outrider.check_set_settings import CheckSetSettings
from outrider.core.outcome import OutcomeClass
from outrider.references import ReferenceSettings
from outrider.spool import DEFAULT_QUOTA
from outrider.strict_yaml import (
    DurationText,
    SizeText,
    default,
)
from outrider.target_policy import PolicySettings


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping in a file that knows all its keys."""


class CollectorSettings(_File, frozen=True, kw_only=True):
    """Where results go. `interval` is the pause between batches; `credential_file` is what `outrider enroll` writes,
    beside the spool without; the others are for a collector that speaks TLS."""

    url: str
    interval: DurationText = default(DurationText, "1s")
    credential_file: str | None = None
    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None


class SpoolSettings(_File, frozen=True, kw_only=True):
    """Where results wait. `retention` is how long delivered ones are kept, for a collector restored from a backup."""

    path: str
    quota: SizeText = default(SizeText, f"{DEFAULT_QUOTA}B")
    retention: DurationText = default(DurationText, "24h")


class TargetSettings(_File, frozen=True, kw_only=True):
    """A service to probe. The scheme of its address says how to get there: http, https, tcp, tls or udp. `zone` is the
    IANA time zone whose date `today` is."""

    url: str
    headers: dict[str, str] = {}
    ca_file: str | None = None
    verify_tls: bool = True
    zone: str = "UTC"


class CheckSettings(_File, frozen=True, kw_only=True):
    """Scenario x target x interval x regions. Without `regions` every region runs it."""

    name: str
    scenario: str
    target: str
    interval: DurationText
    timeout: DurationText
    lateness: DurationText | None = None
    regions: list[str] | None = None
    enabled: bool = True


class MoneySettings(_File, frozen=True, kw_only=True):
    """What all checks together may ask for in a UTC day, in minor units by currency, and the file that stops them."""

    daily_cap: dict[str, int] = {}
    kill_switch: str | None = None


class OutcomeRule(_File, frozen=True, kw_only=True):
    """A row that is put before the shipped outcome table."""

    place: str
    code: str
    outcome: OutcomeClass


class AgentFile(_File, frozen=True, kw_only=True):
    """One agent. `number` (0 to 998) begins its control numbers: give each agent of a submitter id its own."""

    agent: str
    region: str
    number: int | str = 0
    collector: CollectorSettings
    spool: SpoolSettings
    listen: str = "127.0.0.1:9464"
    slice: DurationText = default(DurationText, "60s")
    drain: DurationText = default(DurationText, "10s")
    scenario_dirs: list[str] = []
    targets: dict[str, TargetSettings]
    checks: list[CheckSettings]
    outcomes: list[OutcomeRule] = []
    money: MoneySettings = MoneySettings()
    policy: PolicySettings = PolicySettings()
    references: ReferenceSettings = ReferenceSettings()
    check_sets: CheckSetSettings | None = None
