"""The `sip` probe: OPTIONS, which asks a SIP host or a line what an INVITE to it would be told, and rings nobody.

Over UDP the request goes out again after 500 ms, 1 s, 2 s and then every 4 s (T1 and T2). A response is ours if it has
our Call-ID, CSeq and branch; over UDP anything else is passed over, over TCP and TLS it is `malformed`. Provisional
responses (1xx) are passed over.

Facts: `sip` (the status), `reason`, `server` (or User-Agent), `allow`, `supported`, `contact`.

Findings: a status that is no success (2xx) at `sip/response`.

Source: RFC 3261, 11 (OPTIONS), 17.1.2.2 (resending), 17.1.3 (matching); RFC 3581 (rport: the answer comes back to the
port that asked).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from outrider import __version__
from outrider.codecs.sip import Message, SipError, check_uri, ends_final, read_message, split, write_message
from outrider.core.outcome import Finding, Observation
from outrider.core.units import MILLISECOND, Duration
from outrider.probes import Endpoint, Generate, Prepared, Target, endpoint
from outrider.probes.tls import check_name
from outrider.transport import DatagramReply, DatagramRequest, StreamReply, StreamRequest, Turn

T1: Duration = 500 * MILLISECOND
RESEND: tuple[Duration, ...] = (T1, 2 * T1, 4 * T1, *(8 * T1,) * 7)
"""The waits before each further sending, up to 64 T1, when RFC 3261 gives up."""

_NOWHERE = "outrider.invalid"


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step may say: the `uri` that is asked about (without it, the target's host), and who asks. `server_name`
    is whom the certificate must be for, over TLS, where that is not the target's host."""

    uri: str | None = None
    from_uri: str = f"sip:outrider@{_NOWHERE}"
    server_name: str | None = None


class SipProbe:
    """See `outrider.probes.Probe`."""

    schemes: Mapping[str, int] = {"udp": 5060, "tcp": 5060, "tls": 5061}

    def check(self, request: Mapping[str, Any]) -> None:
        read = msgspec.convert(request, Request)
        for key, uri in (("uri", read.uri), ("from_uri", read.from_uri)):
            if uri is not None and "${" not in uri:
                _check_uri(uri, key)
        if read.server_name is not None and "${" not in read.server_name:
            check_name(read.server_name)

    def prepare(
        self, request: Mapping[str, Any], target: Target, generate: Generate
    ) -> Prepared[DatagramRequest | StreamRequest]:
        wanted = msgspec.convert(request, Request)
        where = endpoint(target, self.schemes)
        message, sent = _options(wanted, where, generate)
        if where.scheme == "udp":
            mine = partial(_is_final_answer, sent)
            return Prepared(DatagramRequest(where.host, where.port, message, mine, RESEND), sent)
        stream = StreamRequest(
            where.host,
            where.port,
            (Turn(message, ends_final),),
            tls=where.scheme == "tls",
            ca_file=target.ca_file,
            verify_tls=target.verify_tls,
            server_name=wanted.server_name,
        )
        return Prepared(stream, sent)

    def read(
        self, prepared: Prepared[DatagramRequest | StreamRequest], reply: DatagramReply | StreamReply
    ) -> Observation:
        raw = reply.payload if isinstance(reply, DatagramReply) else split(reply.answers[0])[-1]
        try:
            response = read_message(raw)
        except SipError as error:
            return Observation((Finding("unreadable", "body/sip", str(error)),))
        if not _is_ours(prepared.sent, response):
            return Observation((Finding("mismatch", "echo/sip", "the answer is to somebody else's question"),))
        facts = {
            "sip": (str(response.status),),
            "reason": (response.reason,),
            "server": tuple(filter(None, [response.header("server") or response.header("user-agent")])),
            **{name: response.listed(name) for name in ("allow", "supported", "contact")},
        }
        if 200 <= response.status < 300:
            return Observation((), facts)
        detail = f"{response.status} {response.reason}"[:200]
        return Observation((Finding(str(response.status), "sip/response", detail),), facts)


def _options(wanted: Request, where: Endpoint, generate: Generate) -> tuple[bytes, dict[str, str]]:
    """The request, and what its answer is known by."""
    host = f"[{where.host}]" if ":" in where.host else where.host
    uri = f"sip:{host}:{where.port}" if wanted.uri is None else wanted.uri
    for key, each in (("uri", uri), ("from_uri", wanted.from_uri)):
        _check_uri(each, key)
    sent = {
        "branch": f"z9hG4bK{generate('uuid')}",  # the cookie says that it is unique (RFC 3261, 8.1.1.7)
        "call_id": f"{generate('uuid')}@{_NOWHERE}",
        "cseq": "1 OPTIONS",
    }
    headers = (
        ("Via", f"SIP/2.0/{where.scheme.upper()} {_NOWHERE};branch={sent['branch']};rport"),
        ("Max-Forwards", "70"),
        ("From", f"<{wanted.from_uri}>;tag={generate('uuid')[:8]}"),
        ("To", f"<{uri}>"),
        ("Call-ID", sent["call_id"]),
        ("CSeq", sent["cseq"]),
        ("Contact", f"<{wanted.from_uri}>"),
        ("Accept", "application/sdp"),
        ("User-Agent", f"outrider/{__version__} (synthetic transaction)"),
    )
    return write_message(f"OPTIONS {uri} SIP/2.0", headers), sent


def _is_ours(sent: Mapping[str, str], came: Message) -> bool:
    return (
        came.status > 0
        and came.header("call-id") == sent["call_id"]
        and came.header("cseq").split() == sent["cseq"].split()
        and came.branch == sent["branch"]
    )


def _is_final_answer(sent: Mapping[str, str], raw: bytes) -> bool:
    try:
        came = read_message(raw)
    except SipError:
        return False
    return came.status >= 200 and _is_ours(sent, came)


def _check_uri(uri: str, key: str) -> None:
    try:
        check_uri(uri)
    except ValueError as error:
        raise ValueError(f"{error} - at `$.{key}`") from None
