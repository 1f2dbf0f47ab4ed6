"""The `tcp` probe: does a port take connections? With `send` and `contains`, does it say what it should?

Facts: `banner`, the first line that came, where anything was asked for.

Source: RFC 9293.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from outrider.codecs import framing
from outrider.core.outcome import Finding, Observation
from outrider.probes import Generate, Prepared, Target, endpoint
from outrider.transport import StreamReply, StreamRequest, Turn


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step may say: a text to `send` first, and a text that the first line of the answer must hold. Without
    either the probe only connects. `port` is another one than the target's."""

    send: str = ""
    contains: str | None = None
    port: int | None = None


class TcpProbe:
    """See `outrider.probes.Probe`."""

    schemes: Mapping[str, int] = {"tcp": 0, "tls": 0, "http": 80, "https": 443}

    def check(self, request: Mapping[str, Any]) -> None:
        read = msgspec.convert(request, Request)
        if read.port is not None and not 0 < read.port < 65536:
            raise ValueError(f"{read.port} is not a port: 1 to 65535 - at `$.port`")

    def prepare(self, request: Mapping[str, Any], target: Target, generate: Generate) -> Prepared[StreamRequest]:
        wanted = msgspec.convert(request, Request)
        where = endpoint(target, self.schemes)
        ends = None if wanted.contains is None else framing.line
        turns = (Turn(wanted.send.encode(), ends),) if wanted.send or ends else ()
        stream = StreamRequest(
            where.host,
            wanted.port or where.port,
            turns,
            tls=where.scheme == "tls",
            ca_file=target.ca_file,
            verify_tls=target.verify_tls,
        )
        return Prepared(stream, {} if wanted.contains is None else {"contains": wanted.contains})

    def read(self, prepared: Prepared[StreamRequest], reply: StreamReply) -> Observation:
        if not reply.answers:
            return Observation()
        line = reply.answers[0].decode("utf-8", "replace").rstrip("\r\n")
        facts = {"banner": (line,)}
        if (wanted := prepared.sent["contains"]) in line:
            return Observation((), facts)
        return Observation((Finding("missing", "body/contains", f"the first line does not contain {wanted!r}"),), facts)
