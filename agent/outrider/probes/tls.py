"""The `tls` probe: does a TLS handshake succeed, and how long does the certificate hold?

It connects, shakes hands, and says nothing more. Facts and findings: `outrider.probes.certificate`.

Source: RFC 8446, RFC 5280.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from outrider.codecs.extras import require
from outrider.core.outcome import Finding, Observation
from outrider.probes import Generate, Prepared, Target, endpoint
from outrider.probes.certificate import MIN_DAYS, look_at
from outrider.transport import StreamReply, StreamRequest

_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*")


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step may say: the fewest days that the certificate must hold, and another name than the target's host
    that it must be for (SNI, RFC 6066)."""

    min_days: int = MIN_DAYS
    server_name: str | None = None


class TlsProbe:
    """See `outrider.probes.Probe`."""

    schemes: Mapping[str, int] = {"tls": 443, "https": 443}

    def check(self, request: Mapping[str, Any]) -> None:
        read = msgspec.convert(request, Request)
        check_days(read.min_days)
        if read.server_name is not None and "${" not in read.server_name:
            check_name(read.server_name)

    def prepare(self, request: Mapping[str, Any], target: Target, generate: Generate) -> Prepared[StreamRequest]:
        wanted = msgspec.convert(request, Request)
        if wanted.server_name is not None:
            check_name(wanted.server_name)
        require("tls", "the tls probe")
        where = endpoint(target, self.schemes)
        stream = StreamRequest(
            where.host,
            where.port,
            tls=True,
            ca_file=target.ca_file,
            verify_tls=target.verify_tls,
            server_name=wanted.server_name,
        )
        return Prepared(stream, {"now": generate("now"), "min_days": str(wanted.min_days)})

    def read(self, prepared: Prepared[StreamRequest], reply: StreamReply) -> Observation:
        if reply.tls is None:
            return Observation((Finding("missing", "body/certificate", "there was no handshake"),))
        return look_at(reply.tls, prepared.sent["now"], int(prepared.sent["min_days"]))


def check_days(days: int) -> None:
    """Raise ValueError for days that no certificate has left."""
    if not 0 <= days <= 3650:
        raise ValueError(f"{days} is not a number of days from 0 to 3650 - at `$.min_days`")


def check_name(name: str) -> None:
    """Raise ValueError for what is no host name (RFC 1123, 2.1)."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a host - at `$.server_name`")
