"""Every route against everybody: the table of routes is complete, and each row is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from access_support import OURSELVES, PASSWORD, Guarded, cookie_of, guarded

from outrider.core.units import HOUR
from outrider_collector.access import Role, Wants
from outrider_collector.access.routes import PAGES, TABLE
from outrider_collector.access.settings import AccessSettings
from outrider_collector.access.tokens import Kind, form_token, new_token

SAMPLES = {
    "{window}": "w-1",
    "{act}": "cancel",
    "{period}": "2026-05",
    "{number}": "1",
    "{first}": "1",
    "{second}": "2",
    "{version}": "1",
}
BEARERS = ("nobody", "forged", "expired", "revoked", "enrolment", "agent", "viewer", "operator", "viewer's session")


@dataclass(frozen=True, slots=True)
class Door:
    collector: Guarded
    headers: dict[str, dict[str, str]]


def routes(collector: Guarded) -> set[tuple[str, str]]:
    """Every route of the application, HEAD left to its GET."""
    found = set()
    for route in collector.app.router.routes():
        assert route.resource is not None
        if route.method != "HEAD":
            found.add((route.method, route.resource.canonical))
    return found


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with guarded(tmp_path) as collector:
        registers = collector.registers
        expired = collector.person("late", Role.OPERATOR, ttl=HOUR)
        collector.clock.pass_time(2 * HOUR)
        revoked = collector.person("gone", Role.OPERATOR)
        registers.people.disable("gone", OURSELVES)
        registers.people.add("looker", Role.VIEWER, PASSWORD, OURSELVES)
        session = cookie_of(await collector.sign_in("looker"))
        bearers = {
            "forged": new_token(Kind.PERSON),
            "expired": expired,
            "revoked": revoked,
            "enrolment": collector.enrolment(),
            "agent": await collector.credential("west-1"),
            "viewer": collector.person("vera", Role.VIEWER),
            "operator": collector.person("otto", Role.OPERATOR),
        }
        yield Door(
            collector,
            {name: {"Authorization": f"Bearer {token}"} for name, token in bearers.items()}
            | {
                "nobody": {},
                "viewer's session": {"Cookie": f"outrider_session={session}", "X-CSRF-Token": form_token(session)},
            },
        )


def may(wants: Wants, bearer: str) -> bool:
    match wants:
        case Wants.ANYONE:
            return True
        case Wants.ENROLMENT:
            return bearer == "enrolment"
        case Wants.AGENT:
            return bearer == "agent"
        case Wants.VIEWER:
            return bearer in ("viewer", "viewer's session", "operator")
    return bearer == "operator"


async def test_every_route_has_its_row_and_every_row_its_route(door: Door) -> None:
    assert routes(door.collector) == set(TABLE)


async def test_every_route_refuses_whoever_it_is_not_for_and_nobody_else(door: Door) -> None:
    wrong = []
    for (method, path), wants in sorted(TABLE.items()):
        for bearer in BEARERS:
            if bearer == "enrolment" and wants is Wants.ENROLMENT:
                continue  # using it up is tried elsewhere
            if path == "/logout" and bearer == "viewer's session" and method == "POST":
                continue
            where = path
            for name, sample in SAMPLES.items():
                where = where.replace(name, sample)
            body: dict[str, Any] = {"data": BytesIO(b"")} if method == "POST" else {}
            answer = await door.collector.ask(method, where, headers=door.headers[bearer], **body)
            refused = answer.http in (401, 403)
            sent_to_login = answer.http == 303 and answer.headers["Location"] == "/login"
            if path == "/login":  # anyone may try; without a name it is refused by itself
                refused = answer.http == 403
            if may(wants, bearer) == (refused or (sent_to_login and path in PAGES and method == "GET")):
                wrong.append((method, path, bearer, answer.http))
    assert wrong == []


async def test_a_route_without_a_row_lets_nobody_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TABLE, ("GET", "/v1/status"))
    async with guarded(tmp_path) as collector:
        answer = await collector.ask("GET", "/v1/status", collector.person("otto", Role.OPERATOR))
        assert (answer.http, answer.error) == (403, "/v1/status is for nobody")


async def test_a_path_that_is_not_there_is_nobodys_secret(door: Door) -> None:
    assert (await door.collector.ask("GET", "/v1/nothing")).http == 404
    assert (await door.collector.ask("DELETE", "/v1/windows")).http == 405


async def test_a_request_is_refused_before_its_body_is_read(door: Door) -> None:
    answer = await door.collector.ask("POST", "/v1/results", data=BytesIO(b"x" * 100_000))
    assert (answer.http, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="outrider"')


async def test_metrics_may_be_open_while_the_rest_is_not(tmp_path: Path) -> None:
    async with guarded(tmp_path, AccessSettings(is_required=True, metrics_open=True)) as collector:
        assert (await collector.ask("GET", "/metrics")).http == 200
        refused = await collector.ask("GET", "/v1/status")
        assert refused.http == 401
        assert 'outrider_requests_refused_total{reason="unknown"} 1.0' in (
            (await collector.ask("GET", "/metrics")).raw.decode()
        )


async def test_an_open_collector_asks_nobody_and_has_nobody_to_let_in(tmp_path: Path) -> None:
    async with guarded(tmp_path, AccessSettings()) as collector:
        assert (await collector.send("")).http == 200
        assert (await collector.ask("GET", "/v1/status")).http == 200
        for path in ("/v1/enroll", "/v1/people"):
            answer = await collector.ask("POST", path, json={"name": "planted", "role": "operator"})
            assert (answer.http, "access: required" in answer.error) == (409, True)
        assert (await collector.ask("GET", "/login")).headers["Location"] == "/"
        assert not (tmp_path / "results.access.sqlite").exists()


async def test_even_an_open_collector_takes_nothing_from_a_page_of_another_site(tmp_path: Path) -> None:
    async with guarded(tmp_path, AccessSettings()) as collector:
        window = {"start": "2026-06-20T00:00:00Z", "duration": "1h"}
        for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = await collector.ask("POST", "/v1/windows", json=window, headers=headers)
            assert (answer.http, "another site" in answer.error) == (403, True)
        assert collector.rooms.register.announcements() == ()
        rebound = {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}
        answer = await collector.ask("POST", "/v1/windows", json=window, headers=rebound)
        assert (answer.http, "not at a name" in answer.error) == (403, True)
        ours = {"Origin": collector.url, "Sec-Fetch-Site": "same-origin"}
        assert (await collector.ask("POST", "/v1/windows", json=window, headers=ours)).http == 201


def test_the_samples_are_enough() -> None:
    assert {part for _, path in TABLE for part in path.split("/") if part.startswith("{")} <= SAMPLES.keys()
