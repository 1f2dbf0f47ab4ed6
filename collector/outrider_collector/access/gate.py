"""The gate: every request is known by who sent it, before anything of it is read.

The caller is kept with the request; `signed` and `admit` hold it against what is inside.
"""

from __future__ import annotations

import asyncio
import hmac
import math
from collections.abc import Awaitable, Callable, Mapping, Set
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from outrider.clock import Clock
from outrider.core.wire import Batch
from outrider_collector.access import Agent, By, Person, Wants
from outrider_collector.access.acts import Registers
from outrider_collector.access.limits import Buckets
from outrider_collector.access.routes import PAGES, wanted
from outrider_collector.access.settings import AccessSettings
from outrider_collector.access.tls import names_in
from outrider_collector.access.tokens import Kind, form_token, kind_of
from outrider_collector.rooms import RefusedError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COOKIE = "outrider_session"
FORM_HEADER = "X-CSRF-Token"
_SAFE = ("GET", "HEAD", "OPTIONS")
_AGENTS = (Wants.AGENT, Wants.ENROLMENT)
_LARGEST_FORM = 16 << 10


class Gate:
    """Who gets in, by the settings and the registers. The registers are there only where access is required."""

    def __init__(
        self,
        settings: AccessSettings,
        clock: Clock,
        metrics: CollectorRegistry,
        registers: Registers | None = None,
    ) -> None:
        self.settings = settings
        self.registers = registers
        self.requests = Buckets(clock, settings.requests)
        self.records = Buckets(clock, settings.records)
        self._refused = Counter(
            "outrider_requests_refused", "Requests refused at the gate", ["reason"], registry=metrics
        )

    @property
    def cookie(self) -> str:
        """Under TLS a browser takes this name from this host and over TLS alone (RFC 6265bis, 4.1.3.2)."""
        return COOKIE if self.settings.tls is None else f"__Host-{COOKIE}"

    def refusal(self, http: int, reason: str, error: str, **headers: str) -> RefusedError:
        """A refusal that is counted, to be raised."""
        self._refused.labels(reason).inc()
        return RefusedError(http, error, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def too_many(self, wait: float, what: str) -> RefusedError:
        return self.refusal(429, "rate", f"too many {what}; wait", Retry_After=str(max(1, math.ceil(wait))))

    async def caller(self, request: web.Request) -> Agent | Person | None:
        """Who sent a request, by what it carries; None where that is nothing, or not good now."""
        assert self.registers is not None
        agents, people = self.registers.agents, self.registers.people
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            match kind_of(token := token.strip()):
                case Kind.AGENT:
                    return await asyncio.to_thread(agents.known, token)
                case Kind.PERSON:
                    return await asyncio.to_thread(people.by_token, token)
            return None
        session = request.cookies.get(self.cookie, "")
        if kind_of(session) is Kind.SESSION:
            return await asyncio.to_thread(people.by_session, session)
        return None


GATE = web.AppKey("gate", Gate)
CALLER = web.RequestKey("caller", object)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request through to its handler, or refuse it."""
    gate = request.app[GATE]
    resource = request.match_info.route.resource
    if resource is None:  # no such path or method: nothing to guard
        return await handler(request)
    wants = wanted(request.method, resource.canonical)
    if request.method not in _SAFE and _is_cross_site(request):
        raise gate.refusal(403, "cross-site", "a page of another site may change nothing here")
    if not gate.settings.is_required:
        if request.method not in _SAFE and _is_rebound(request):
            raise gate.refusal(
                403, "cross-site", "open collectors take changes from pages at an address, not at a name"
            )
        return await handler(request)
    if wants is None:
        raise gate.refusal(403, "unlisted", f"{resource.canonical} is for nobody")
    _refuse_uncertified(gate, request, wants)
    if wants is Wants.ENROLMENT:
        await _refuse_unenrolled(gate, request)
    elif wants is not Wants.ANYONE and not (resource.canonical == "/metrics" and gate.settings.metrics_open):
        await _let_in(gate, request, wants, resource.canonical)
    return await _kept(gate, request, await handler(request))


async def _let_in(gate: Gate, request: web.Request, wants: Wants, path: str) -> None:
    caller = await gate.caller(request)
    if caller is None:
        if path in PAGES and request.method in _SAFE and "Authorization" not in request.headers:
            raise web.HTTPSeeOther("/login")
        raise _unknown(gate, wants)
    request[CALLER] = caller
    if isinstance(caller, Agent):
        if wants is not Wants.AGENT:
            raise gate.refusal(403, "role", f"an agent's credential is for its results; this is for a {wants}")
        _refuse_misnamed(gate, request, caller.name)
        if wait := gate.requests.take(caller.name):
            raise gate.too_many(wait, f"requests of agent {caller.name}")
    else:
        if not caller.role.meets(wants):
            raise gate.refusal(403, "role", f"{caller.name} is {caller.role}; this is for an {wants}")
        if caller.session and request.method not in _SAFE:
            await _refuse_without_form_token(gate, request, caller.session)


def _unknown(gate: Gate, wants: Wants) -> RefusedError:
    told = (
        "the credential is missing, unknown or revoked; `outrider enroll --config FILE --token-file F` gets one"
        if wants is Wants.AGENT
        else "say who you are: a token that is good now, in --token-file or OUTRIDER_TOKEN (`outrider people token`)"
    )
    return gate.refusal(401, "unknown", told, WWW_Authenticate='Bearer realm="outrider"')


async def _refuse_unenrolled(gate: Gate, request: web.Request) -> None:
    """An enrolment token that is good now, before the body is looked at; its use is up to the handler."""
    assert gate.registers is not None
    if wait := gate.requests.take(f"@{request.remote}"):
        raise gate.too_many(wait, "requests from this address")
    token = bearer(request)
    agent = (
        await asyncio.to_thread(gate.registers.agents.enrolled_by, token) if kind_of(token) is Kind.ENROLMENT else None
    )
    if agent is None:
        raise unenrolled(gate)
    _refuse_misnamed(gate, request, agent)


def unenrolled(gate: Gate) -> RefusedError:
    told = "the enrolment token was used, is late, or was never issued; ask for another: `outrider enroll token`"
    return gate.refusal(401, "enrolment", told, WWW_Authenticate='Bearer realm="outrider"')


def bearer(request: web.Request) -> str:
    """The token of an Authorization header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


# --- browsers --------------------------------------------------------------------------------------------------------


def _is_cross_site(request: web.Request) -> bool:
    """What a browser says of the page that sent this; programs that are no browser say nothing. Schemes are left out:
    a proxy before us may end TLS."""
    origin = request.headers.get("Origin")
    if origin is not None:
        try:
            return urlsplit(origin).netloc.lower() != request.host.lower()
        except ValueError:
            return True
    return request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none")


def _is_rebound(request: web.Request) -> bool:
    """Whether a browser came by a name that anybody's may be: an attacker's own name can be made to lead here, and then
    their page is of the same origin as ours (DNS rebinding). With a session there would be no cookie for that name."""
    if "Origin" not in request.headers and "Sec-Fetch-Site" not in request.headers:
        return False
    try:
        host = urlsplit(f"//{request.host}").hostname or ""
        return host != "localhost" and not ip_address(host)
    except ValueError:
        return True


async def _refuse_without_form_token(gate: Gate, request: web.Request, session: str) -> None:
    given = request.headers.get(FORM_HEADER) or (await read_form(request)).get("csrf", "")
    if not hmac.compare_digest(given.encode(), form_token(session).encode()):
        raise gate.refusal(403, "csrf", "the form's token is missing or of another session; load the page again")


async def read_form(request: web.Request) -> Mapping[str, str]:
    """The fields of a small form. Raises RefusedError for a large one."""
    if request.content_type != "application/x-www-form-urlencoded":
        return {}
    if request.content_length is None or request.content_length > _LARGEST_FORM:
        raise RefusedError(413, f"a form has at most {_LARGEST_FORM} bytes")
    try:
        return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    except (ValueError, LookupError) as error:  # bytes that are no text
        raise RefusedError(400, f"the form cannot be read: {type(error).__name__}") from None


# --- certificates ----------------------------------------------------------------------------------------------------


def _refuse_uncertified(gate: Gate, request: web.Request, wants: Wants) -> None:
    """Where only agents need a certificate, the handshake has let everybody in."""
    tls = gate.settings.tls
    if tls is not None and tls.client_ca is not None and wants in _AGENTS and not _certificate(request):
        raise gate.refusal(403, "certificate", "agents show a client certificate here: collector.client_cert_file")


def _refuse_misnamed(gate: Gate, request: web.Request, agent: str) -> None:
    tls = gate.settings.tls
    if tls is not None and tls.client_names and agent not in names_in(_certificate(request)):
        raise gate.refusal(403, "certificate", f"the certificate does not name agent {agent!r}")


def _certificate(request: web.Request) -> Mapping[str, Any]:
    found: Mapping[str, Any] | None = request.get_extra_info("peercert")
    return found or {}


# --- what is inside --------------------------------------------------------------------------------------------------


class _Region(msgspec.Struct, frozen=True):
    region: str


def admit(request: web.Request, batch: Batch) -> None:
    """Hold a batch against whoever sent it, and against what one agent may send. Raises RefusedError."""
    gate = request.app.get(GATE)
    if gate is None:
        return
    speaks_for(request, batch.agent, lambda: _regions(batch))
    if wait := gate.records.take(batch.agent, len(batch.entries)):
        raise gate.too_many(wait, f"records of agent {batch.agent}")


def speaks_for(request: web.Request, agent: str, regions: Callable[[], Set[str]]) -> None:
    """Hold what a request says of an agent against the credential it came with. Raises RefusedError."""
    gate, caller = request.app.get(GATE), request.get(CALLER)
    if gate is None or not isinstance(caller, Agent):
        return
    if agent != caller.name:
        raise gate.refusal(403, "foreign", f"this credential is agent {caller.name}'s, not {agent!r}'s")
    if caller.region and regions() - {caller.region}:
        raise gate.refusal(403, "foreign", f"agent {caller.name} is enrolled for region {caller.region} alone")


def _regions(batch: Batch) -> set[str]:
    """Every region that a batch speaks for; records that cannot be read are refused by the intake."""
    regions = {batch.region}
    decode = msgspec.json.Decoder(_Region).decode
    for entry in batch.entries:
        try:
            regions.add(decode(entry.body).region)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return regions


def is_known(request: web.Request) -> bool:
    """Whether a person sent this who proved who they are."""
    return isinstance(request.get(CALLER), Person)


def signed(request: web.Request, author: str) -> str:
    """The author of what a request says: the person who sent it, where access is required. Raises RefusedError where
    another one is named: what is recorded stays, and nobody writes in somebody else's name."""
    caller = request.get(CALLER)
    if not isinstance(caller, Person):
        return author
    if author not in ("", caller.name):
        raise RefusedError(403, f"author: you are {caller.name}; leave it out", field="author")
    return caller.name


def signed_in(request: web.Request) -> Person | None:
    """Whose session a page is shown in."""
    caller = request.get(CALLER)
    return caller if isinstance(caller, Person) and caller.session else None


def by(request: web.Request) -> By:
    """Who sent a request, for the audit log."""
    caller = request.get(CALLER)
    name = caller.name if isinstance(caller, Person | Agent) else "somebody"
    return By(f"agent {name}" if isinstance(caller, Agent) else name, request.remote or "")


async def _kept(gate: Gate, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """What a person changed goes to the audit log; the registers keep their own acts themselves."""
    path = request.rel_url.path
    is_ours = path.startswith(("/v1/people", "/v1/enroll", "/login", "/logout"))
    if (
        isinstance(request.get(CALLER), Person)
        and request.method not in _SAFE
        and response.status < 400
        and not is_ours
    ):
        assert gate.registers is not None
        await asyncio.to_thread(gate.registers.database.keep_note, by(request), request.method, path)
    return response
