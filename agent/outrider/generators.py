"""What the agent draws for a scenario: identifiers, control numbers, times, dates and secrets."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Protocol

from outrider.clock import Clock
from outrider.core.units import to_datetime
from outrider.spool import SpoolError
from outrider.zones import UTC

_STAN_STRIDE = 997
"""How far the trace numbers of one agent are from the next one's, so that agents which began together never share a
number and a second. No divisor of the blocks that a spool gives numbers in: restarts must not make up for it."""

_WRITTEN = {"YYYY": "%Y", "YY": "%y", "MM": "%m", "DD": "%d", "hh": "%H", "mm": "%M", "ss": "%S"}


class Numbers(Protocol):
    """Numbers that repeat neither across agents nor restarts, within their width."""

    def control_number(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Generators:
    """Draws the values behind `${uuid}`, `${trace}`, `${control_number}`, `${now}`, `${now:MMDDhhmmss}` (UTC, in the
    form that is named), `${today-30d}`, `${secret:NAME}`.

    `number` is the agent's (`${agent_number}`), `zone` the one whose date `${today}` is. A STAN (ISO 8583, field 11) is
    the last six digits of a control number, moved on for each agent by a stride of its own: unlike any other of this
    agent until a million have been drawn, and seldom like another agent's, never of one that counts in step. ISO 8583
    asks for no more than that it differs within a terminal and a day: each agent needs a terminal id (field 41) of its
    own, which `${agent_number}` can be a part of.

    `secrets` looks a secret up by name and raises ValueError, naming it, where it is not there. Drawing raises nothing
    but ValueError: also where the spool gives no number.
    """

    clock: Clock
    numbers: Numbers
    secrets: Callable[[str], str]
    number: int = 0
    zone: tzinfo = UTC

    def __call__(self, name: str) -> str:
        if name.startswith("secret:"):
            return self.secrets(name.removeprefix("secret:"))
        match name:
            case "uuid":
                return str(uuid.uuid4())
            case "trace":
                return uuid.uuid4().hex.upper()
            case "control_number":
                return str(self._number())
            case "stan":
                agent, counter = divmod(self._number(), 1_000_000)
                return f"{(counter + agent * _STAN_STRIDE) % 1_000_000:06d}"
            case "agent_number":
                return f"{self.number:03d}"
        now = to_datetime(self.clock.now())
        if name == "now":
            return now.strftime("%Y-%m-%dT%H:%M:%SZ")
        if name.startswith("now:"):
            return in_form(now, name.removeprefix("now:"))
        days = int(name.removeprefix("today").removesuffix("d") or 0)
        # Days of the calendar, not of 24 hours: a clock change between them shifts none.
        return (now.astimezone(self.zone).date() + timedelta(days=days)).isoformat()

    def _number(self) -> int:
        try:
            return self.numbers.control_number()
        except SpoolError as error:
            raise ValueError(str(error)) from None


def in_form(moment: datetime, form: str) -> str:
    """A moment in a form like MMDDhhmmss, as ISO 8583 writes forms; what is no part of a time stays."""
    return re.sub("|".join(_WRITTEN), lambda part: moment.strftime(_WRITTEN[part[0]]), form)


def in_zone(generate: Callable[[str], str], zone: tzinfo) -> Callable[[str], str]:
    """The same draws, with `today` in another zone."""
    return replace(generate, zone=zone) if isinstance(generate, Generators) else generate


def secrets_from(environ: Mapping[str, str]) -> Callable[[str], str]:
    """Look secrets up in the environment: `${secret:NAME}` is NAME, or what the file NAME_FILE holds."""

    def look_up(name: str) -> str:
        if name in environ:
            return environ[name]
        if path := environ.get(f"{name}_FILE"):
            try:
                with open(path, encoding="utf-8") as file:
                    return file.read(65536).removesuffix("\n")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
                raise ValueError(f"secret {name}: cannot read the file that {name}_FILE names: {reason}") from None
        raise ValueError(f"secret {name} is not set; set {name} or {name}_FILE in the environment")

    return look_up
