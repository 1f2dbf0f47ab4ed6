"""The `http` probe: any request over HTTP, with JSON bodies read into facts.

A request's body is `body` (a text), `json`, or `form`: a mapping that is sent urlencoded. In a form, mappings and lists
within it become keys in brackets, as card gateways want them: `card: {number: ...}` is `card[number]=...`, and the
first of a list `items[0]=...`. true, false and numbers are written as in YAML, null as an empty text.

Facts: `status`, `header.<name in lower case>`, and `json.<path>` for each scalar of a JSON answer
("json.card.last4", "json.items.0.id"), the first 500 of them, where the path has at most 200 characters. A body that is
a JSON object or list is read whatever type it says it has: gateways have been seen to forget the type when they play an
answer back under its idempotency key, and the id in it is what a payment is given back by. Where JSON was sent, an
answer that does not say that it is JSON is a finding all the same.

Findings: a status that is no success, at `status`. Beside a status of 4xx that speaks of this request, each code of a
JSON answer, at its path: a field whose name ends with "code" or "reason" ("json.error.decline_code"). It comes before
the status, so that an outcome table can tell an issuer's trouble from a decline.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import urlencode

import msgspec

from outrider import __version__
from outrider.core.outcome import Finding, Observation
from outrider.probes import HTTP_SCHEMES, Generate, Prepared, Target, join, merge
from outrider.scenario import as_text
from outrider.transport import HttpReply, HttpRequest

USER_AGENT = f"outrider/{__version__} (synthetic transaction)"
_MOST_FACTS = 500
_LONGEST_PATH = 200
_DEEPEST = 20
_MOST_CODES = 20
# Of a path and of a code at most six digits: neither can hold a card or an account number.
_NAMES_A_CODE = re.compile(r"(?i)json\.(?!(?:[^0-9]*[0-9]){7})[a-z0-9_.-]*(?:code|reason)")
_CODE = re.compile(r"(?!(?:[^0-9]*[0-9]){7})[A-Za-z0-9_.-]{1,40}")
_SAYS_ALL = (401, 403, 407, 408, 429)
"""Statuses that would be said of any request: what stands beside them is no judgement of this one."""


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step may say of its request. `contains` are texts that the answer's body must hold."""

    path: str
    method: str = "GET"
    headers: dict[str, str] = {}
    body: str | None = None
    json: Any = None
    form: dict[str, Any] | None = None
    contains: list[str] = []


class HttpProbe:
    """See `outrider.probes.Probe`."""

    schemes = HTTP_SCHEMES

    def check(self, request: Mapping[str, Any]) -> None:
        read = msgspec.convert(request, Request)
        if [read.body, read.json, read.form].count(None) < 2:
            raise ValueError("a request has one of body, json and form, not several")
        if empty := [key for key, value in _fields(read.form or {}) if isinstance(value, dict | list) and key]:
            raise ValueError(f"form: {empty[0]} is an empty mapping or list, which a form cannot say")
        if not read.method.isalpha() or read.method != read.method.upper():
            raise ValueError(f"{read.method!r} is not an HTTP method; write it like GET or POST")

    def prepare(self, request: Mapping[str, Any], target: Target, generate: Generate) -> Prepared:
        wanted = msgspec.convert(request, Request)
        headers = [("User-Agent", USER_AGENT), ("Accept", "*/*"), *target.headers]
        body = b""
        if wanted.json is not None:
            body = json.dumps(wanted.json, separators=(",", ":")).encode()
            headers.append(("Content-Type", "application/json"))
        elif wanted.form is not None:
            pairs = [(key, "" if value is None else as_text(value)) for key, value in _fields(wanted.form)]
            body = urlencode(pairs).encode()
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        elif wanted.body is not None:
            body = wanted.body.encode()
        sent = {f"contains.{number}": text for number, text in enumerate(wanted.contains)}
        return Prepared(
            HttpRequest(
                wanted.method,
                join(target, wanted.path),
                merge([*headers, *wanted.headers.items()]),
                body,
                target.ca_file,
                target.verify_tls,
            ),
            sent,
        )

    def read(self, prepared: Prepared, reply: HttpReply) -> Observation:
        facts: dict[str, tuple[str, ...]] = {"status": (str(reply.status),)}
        for name, value in reply.headers:
            fact = f"header.{name.lower()}"
            facts[fact] = (*facts.get(fact, ()), value)
        findings = list(status_findings(reply))
        says_json = "json" in reply.header("Content-Type").lower()
        if says_json or reply.body.lstrip().startswith((b"{", b"[")):
            try:
                told = dict(islice(_leaves(json.loads(reply.body)), _MOST_FACTS))
                facts |= {path: (text,) for path, text in told.items()}
                findings = [*_codes(reply, told), *findings]
            except (ValueError, RecursionError):
                if says_json:
                    findings.append(Finding("not-json", "body/json", "the body says that it is JSON, and is not"))
        if not says_json and _expects_json(prepared) and not findings and reply.status != 204:
            findings.append(
                Finding(
                    "not-json", "body/type", f"expected JSON, got {reply.header('Content-Type') or 'no content type'}"
                )
            )
        text = reply.body.decode("utf-8", "replace") if prepared.sent else ""
        findings += [
            Finding("missing", "body/contains", f"the body does not contain {wanted!r}")
            for wanted in prepared.sent.values()
            if wanted not in text
        ]
        return Observation(tuple(findings), facts)


def status_findings(reply: HttpReply) -> Iterator[Finding]:
    """A status that is not a success (RFC 9110, 15.3) is a finding."""
    if not 200 <= reply.status < 300:
        yield Finding(str(reply.status), "status", f"HTTP status {reply.status}")


def _codes(reply: HttpReply, told: Mapping[str, str]) -> Iterator[Finding]:
    """The codes of an answer that refuses this request."""
    if 400 <= reply.status < 500 and reply.status not in _SAYS_ALL:
        codes = (pair for pair in told.items() if _NAMES_A_CODE.fullmatch(pair[0]) and _CODE.fullmatch(pair[1]))
        for path, code in islice(codes, _MOST_CODES):
            yield Finding(code, path, f"HTTP status {reply.status}, {path} {code}")


def _expects_json(prepared: Prepared) -> bool:
    return ("content-type", "application/json") in ((name.lower(), value) for name, value in prepared.request.headers)


def _fields(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a form with its key in brackets, in order; an empty mapping or list as it is."""
    if not isinstance(value, dict | list) or (not value and key):
        yield key, value
        return
    for name, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _fields(each, f"{key}[{name}]" if key else str(name))


def _leaves(value: Any, path: str = "json", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Every scalar of a JSON value with its path, in order, down to a bounded depth. One at a time: a long key above
    many values would otherwise fill the memory with copies of itself."""
    if len(path) > _LONGEST_PATH:
        return
    if not isinstance(value, dict | list):
        yield path, as_text(value)
    elif depth < _DEEPEST:
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(each, f"{path}.{key}", depth + 1)
