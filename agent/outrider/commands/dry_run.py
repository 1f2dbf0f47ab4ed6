"""`outrider once --dry-run`: the bytes of every request, redacted, and nothing sent.

What only an answer could say (a captured name) stands as ${name}, and so does every secret: neither is there to leak.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from outrider.execution import Check
from outrider.generators import in_zone
from outrider.hygiene import private_values
from outrider.probes import Generate
from outrider.probes.table import PROBES
from outrider.redact import Redactor, printable
from outrider.scenario import Cleanup, Scenario, Step, is_generator, render
from outrider.transport import DatagramRequest, HttpRequest, Request


@dataclass(frozen=True, slots=True)
class Shown:
    """One request, redacted. `why_not` says why there are no bytes; `undoes` is the step that a cleanup undoes,
    `asks_about` the one that an inquiry asks about."""

    check: str
    step: str
    undoes: str
    url: str
    sent: str
    why_not: str = ""
    asks_about: str = ""


def show(checks: Iterable[Check], generate: Generate, secrets: frozenset[str], *, as_json: bool) -> None:
    """Print every request of every check."""
    for check in checks:
        for shown in requests(check, generate, secrets):
            print(json.dumps(asdict(shown), sort_keys=True) if as_json else _for_people(shown))


def requests(check: Check, generate: Generate, secrets: frozenset[str]) -> Iterator[Shown]:
    """Every request of a check, cleanup at the end. In X12 the redactor knows by itself what is about a person."""
    by_itself, told = Redactor(secrets), Redactor(secrets.union(private_values(check.scenario)))
    generate = in_zone(generate, check.target.zone)
    resolve = _placeholders(check.scenario, generate)

    def safe(redactor: Redactor, text: str) -> str:
        lines = redactor.text(text).replace("\r\n", "\n").split("\n")
        return "\n".join(printable(line, limit=len(line) * 10) for line in lines)

    asked = {id(cleanup.inquiry): cleanup.undoes for cleanup in check.scenario.cleanup}
    for _, step in check.scenario.located_steps():
        undoes = step.undoes if isinstance(step, Cleanup) else ""
        url, sent, why_not = _prepared(check, step, resolve, generate)
        redactor = by_itself if check.scenario.kind(step) == "x12" else told
        url, sent, why_not = (safe(redactor, text) for text in (url, sent, why_not))
        yield Shown(check.name, step.name, undoes, url, sent, why_not, asked.get(id(step), ""))


def _prepared(check: Check, step: Step, resolve: Callable[[str], str], generate: Generate) -> tuple[str, str, str]:
    try:
        request = render(step.request, resolve)
        prepared = PROBES[check.scenario.kind(step)].prepare(request, check.target, generate)
    except ValueError as error:
        return _without_login(check.target.url), "", str(error)
    return _address(prepared.request), prepared.shown or as_sent(prepared.request), ""


def _placeholders(scenario: Scenario, generate: Generate) -> Callable[[str], str]:
    """Names as a run draws them; secrets and captured names as they are written."""
    values: dict[str, str] = {}

    def resolve(name: str) -> str:
        if name in values:
            return values[name]
        return generate(name) if is_generator(name) and not name.startswith("secret:") else f"${{{name}}}"

    for name, text in scenario.names.items():
        values[name] = render(text, resolve)
    return resolve


def as_sent(request: Request) -> str:
    """A request as it goes over the wire, as text; bytes that are not UTF-8 as escapes. The turns of a conversation
    stand one after the other."""
    if isinstance(request, HttpRequest):
        return _http_as_sent(request)
    if isinstance(request, DatagramRequest):
        return _text(request.payload)
    return "".join(_text(turn.send) for turn in request.turns) or "(connects, and sends nothing)"


def _http_as_sent(request: HttpRequest) -> str:
    parts = urlsplit(request.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = [("Host", parts.netloc.rpartition("@")[2]), *request.headers]
    if request.body:
        headers.append(("Content-Length", str(len(request.body))))
    headers.append(("Connection", "close"))
    head = "\r\n".join([f"{request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)])
    return f"{head}\r\n\r\n{_text(request.body)}"


def _text(sent: bytes) -> str:
    return sent.decode("utf-8", "backslashreplace")


def _address(request: Request) -> str:
    if isinstance(request, HttpRequest):
        return _without_login(request.url)
    scheme = "udp" if isinstance(request, DatagramRequest) else "tls" if request.tls else "tcp"
    host = f"[{request.host}]" if ":" in request.host else request.host
    return f"{scheme}://{host}:{request.port}"


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _for_people(shown: Shown) -> str:
    kind = f"cleanup, undoes {shown.undoes}" if shown.undoes else "step"
    kind = f"inquiry, asks about {shown.asks_about}" if shown.asks_about else kind
    title = f"--- {shown.check}: {shown.step} ({kind}) to {shown.url}"
    return f"{title}\n{shown.sent}\n" if shown.sent else f"{title}\ncannot be shown before it runs: {shown.why_not}\n"
