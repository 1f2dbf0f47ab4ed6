"""What every handler of the collector's HTTP side works with, and the two kinds of answers: JSON, and a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from outrider.clock import Clock
from outrider.core.wire import Refusal
from outrider_collector.accounting import Accountant
from outrider_collector.config import CollectorConfig
from outrider_collector.intake import Intake
from outrider_collector.metrics import CollectorMetrics
from outrider_collector.store import Store
from outrider_collector.windows import WindowRegister


class RefusedError(Exception):
    """An answer other than 200, in JSON."""

    def __init__(
        self,
        status: int,
        error: str,
        seq: int | None = None,
        field: str | None = None,
        digest: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.headers = dict(headers or {})
        self.refusal = Refusal(error, seq, field, digest)


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the handlers work with."""

    config: CollectorConfig
    clock: Clock
    store: Store
    intake: Intake
    register: WindowRegister
    accountant: Accountant
    metrics: CollectorMetrics


ROOMS = web.AppKey("rooms", Rooms)


def json_answer(plain: Any, status: int = 200) -> web.Response:
    """Keys in order, so that the same statement is the same bytes."""
    body = msgspec.json.format(msgspec.json.encode(plain, order="deterministic"), indent=1)
    return web.Response(body=body, status=status, content_type="application/json")
