"""People at the gate: sessions on the page, tokens for commands, and what other sites, thieves and guessers get."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
from access_support import OURSELVES, PASSWORD, Guarded, cookie_of, guarded
from collector_support import SettableClock, batch, run

from outrider.collector_access import CollectorAccess
from outrider.collector_client import CollectorError, Endpoint, ask
from outrider.core.units import DAY, HOUR, MINUTE, SECOND
from outrider_collector.access import AccessError, Role, UnknownError
from outrider_collector.access.login import Attempts
from outrider_collector.access.passwords import Passwords, refuse_weak
from outrider_collector.access.people import ABSOLUTE, IDLE
from outrider_collector.access.tokens import form_token

WINDOW = {"start": "2026-06-20T00:00:00Z", "duration": "1h"}


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Guarded]:
    async with guarded(tmp_path) as made:
        made.registers.people.add("otto", Role.OPERATOR, PASSWORD, OURSELVES)
        made.registers.people.add("vera", Role.VIEWER, PASSWORD, OURSELVES)
        yield made


def with_session(session: str, **headers: str) -> dict[str, str]:
    return {"Cookie": f"outrider_session={session}", **headers}


async def is_in(collector: Guarded, session: str) -> bool:
    return (await collector.ask("GET", "/", headers=with_session(session))).http == 200


# --- the page --------------------------------------------------------------------------------------------------------


async def test_who_is_not_signed_in_is_sent_to_sign_in_and_then_sees_the_page(collector: Guarded) -> None:
    away = await collector.ask("GET", "/")
    assert (away.http, away.headers["Location"]) == (303, "/login")
    page = await collector.ask("GET", "/login")
    assert page.http == 200
    assert b'autocomplete="current-password"' in page.raw
    inside = await collector.sign_in("vera")
    assert (inside.http, inside.headers["Location"]) == (303, "/")
    shown = await collector.ask("GET", "/", headers=with_session(cookie_of(inside)))
    assert shown.http == 200
    assert b"vera (viewer)" in shown.raw


async def test_the_cookie_is_for_no_script_and_no_other_site(collector: Guarded) -> None:
    parts = {part.strip() for part in (await collector.sign_in("vera")).headers["Set-Cookie"].split(";")[1:]}
    assert parts == {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"}  # and no Domain: this host alone


async def test_the_sign_in_page_loads_nothing_and_sends_its_form_nowhere_else(collector: Guarded) -> None:
    headers = (await collector.ask("GET", "/login")).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert (policy["form-action"], policy["frame-ancestors"], policy["base-uri"]) == ("'self'", "'none'", "'none'")
    assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("same-origin", "no-store")


async def test_each_sign_in_is_another_session_and_ends_the_one_before(collector: Guarded) -> None:
    first = cookie_of(await collector.sign_in("vera"))
    second = cookie_of(await collector.sign_in("vera", headers=with_session(first)))
    assert first != second
    assert not await is_in(collector, first)
    assert await is_in(collector, second)


async def test_a_session_that_somebody_chose_is_not_taken(collector: Guarded) -> None:
    chosen = "ors_" + "A" * 43
    inside = await collector.sign_in("vera", headers=with_session(chosen))
    assert cookie_of(inside) != chosen
    assert not await is_in(collector, chosen)


async def test_a_session_ends_when_it_is_idle(collector: Guarded) -> None:
    session = cookie_of(await collector.sign_in("vera"))
    for _ in range(5):
        collector.clock.pass_time(IDLE - MINUTE)
        assert await is_in(collector, session)
    collector.clock.pass_time(IDLE + SECOND)
    assert not await is_in(collector, session)


async def test_a_session_ends_for_good_however_busy_it_is(collector: Guarded) -> None:
    session = cookie_of(await collector.sign_in("vera"))
    began = collector.clock.at
    while collector.clock.at + IDLE // 2 < began + ABSOLUTE:
        collector.clock.pass_time(IDLE // 2)
        assert await is_in(collector, session)
    collector.clock.pass_time(began + ABSOLUTE - collector.clock.at)
    assert not await is_in(collector, session)


async def test_whoever_signs_out_is_out(collector: Guarded) -> None:
    session = cookie_of(await collector.sign_in("vera"))
    form = await collector.ask("GET", "/logout", headers=with_session(session))
    assert form_token(session).encode() in form.raw
    out = await collector.ask("POST", "/logout", headers=with_session(session), data={"csrf": form_token(session)})
    assert (out.http, out.headers["Location"]) == (303, "/login")
    assert 'outrider_session=""' in out.headers["Set-Cookie"]
    assert not await is_in(collector, session)  # the stolen copy of the cookie too


@pytest.mark.parametrize("ending", ["disable", "password"])
async def test_disabling_somebody_and_another_password_end_their_sessions(collector: Guarded, ending: str) -> None:
    session = cookie_of(await collector.sign_in("vera"))
    other = cookie_of(await collector.sign_in("otto"))
    if ending == "disable":
        collector.registers.people.disable("vera", OURSELVES)
    else:
        collector.registers.people.set_password("vera", PASSWORD + "!", OURSELVES)
    assert not await is_in(collector, session)
    assert await is_in(collector, other)
    assert (await collector.sign_in("vera")).http == 401


# --- other sites -----------------------------------------------------------------------------------------------------


async def test_a_post_without_the_sessions_token_changes_nothing(collector: Guarded) -> None:
    session, other = [cookie_of(await collector.sign_in(name)) for name in ("otto", "vera")]
    for token in ("", "0" * 64, form_token(other), session):
        headers = with_session(session, **({"X-CSRF-Token": token} if token else {}))
        answer = await collector.ask("POST", "/v1/windows", headers=headers, json=WINDOW)
        assert (answer.http, "token" in answer.error) == (403, True)
        assert (await collector.ask("POST", "/logout", headers=with_session(session), data={"csrf": token})).http == 403
    assert collector.rooms.register.announcements() == ()
    headers = with_session(session, **{"X-CSRF-Token": form_token(session)})
    assert (await collector.ask("POST", "/v1/windows", headers=headers, json=WINDOW)).http == 201


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://["}, {"Sec-Fetch-Site": "cross-site"},
     {"Sec-Fetch-Site": "same-site"}],
)  # fmt: skip
async def test_a_post_from_another_site_changes_nothing_even_with_everything_right(
    collector: Guarded, headers: dict[str, str]
) -> None:
    session = cookie_of(await collector.sign_in("otto"))
    right = with_session(session, **{"X-CSRF-Token": form_token(session)})
    answer = await collector.ask("POST", "/v1/windows", headers={**right, **headers}, json=WINDOW)
    assert (answer.http, "another site" in answer.error) == (403, True)
    assert (await collector.sign_in("otto", headers=headers)).http == 403  # signing a victim in as somebody else
    assert collector.rooms.register.announcements() == ()


async def test_a_large_form_is_not_read(collector: Guarded) -> None:
    answer = await collector.ask("POST", "/login", data={"name": "vera", "password": "x" * 20_000})
    assert answer.http == 413
    session = cookie_of(await collector.sign_in("otto"))
    form = {"csrf": form_token(session), "more": "x" * 20_000}
    assert (await collector.ask("POST", "/logout", headers=with_session(session), data=form)).http == 413


# --- guessing --------------------------------------------------------------------------------------------------------


async def test_an_unknown_name_and_a_wrong_password_get_the_same_answer(collector: Guarded) -> None:
    wrong = await collector.sign_in("vera", "wrong wrong wrong")
    unknown = await collector.sign_in("nobody", "wrong wrong wrong")
    collector.registers.people.disable("vera", OURSELVES)
    disabled = await collector.sign_in("vera")
    assert wrong.http == unknown.http == disabled.http == 401
    assert wrong.raw == unknown.raw == disabled.raw


class Counted(Passwords):
    """Tells how often a password was worked on."""

    def __init__(self) -> None:
        super().__init__(memory_kib=64)
        self.checked: list[bool] = []

    def is_right(self, kept: str | None, password: str) -> bool:
        self.checked.append(kept is None)
        return super().is_right(kept, password)


def test_an_unknown_name_costs_the_same_work_and_is_never_right() -> None:
    passwords = Counted()
    kept = passwords.hashed(PASSWORD)
    assert kept.startswith("$argon2id$v=19$")
    assert passwords.is_right(kept, PASSWORD)
    assert not passwords.is_right(kept, PASSWORD + "!")
    assert not passwords.is_right(None, PASSWORD)
    assert not passwords.is_right("no hash at all", PASSWORD)
    parameters = {each.split("$")[3] for each in (kept, passwords._nobodys)}
    assert parameters == {"m=64,t=3,p=4"}
    assert PASSWORD not in kept


async def test_guessing_is_slowed_and_ends_with_patience(collector: Guarded) -> None:
    answers = [(await collector.sign_in("vera", f"guess number {n}")).http for n in range(7)]
    assert answers == [401] * 5 + [429] * 2
    refused = await collector.sign_in("vera")  # the right one does not get in either: that would tell it
    assert (refused.http, refused.headers["Retry-After"]) == (429, "30")
    collector.clock.elapsed += 31 * SECOND
    assert (await collector.sign_in("vera")).http == 303


def test_a_stranger_elsewhere_cannot_keep_somebody_out() -> None:
    clock = SettableClock()
    attempts = Attempts(clock)
    for n in range(200):  # from many addresses, at one name
        attempts.wait("vera", f"198.51.100.{n}", is_known=False)
    assert attempts.wait("vera", "203.0.113.9", is_known=False) > 0
    assert attempts.wait("vera", "203.0.113.7", is_known=True) == 0  # where she signed in before
    assert attempts.wait("otto", "203.0.113.9", is_known=False) == 0
    clock.elapsed += 11 * SECOND
    assert attempts.wait("vera", "203.0.113.9", is_known=False) == 0  # and anywhere else before long


def test_one_address_cannot_try_every_name() -> None:
    attempts = Attempts(SettableClock())
    waits = [attempts.wait(f"name{n}", "198.51.100.1", is_known=False) for n in range(30)]
    assert [bool(each) for each in waits] == [False] * 20 + [True] * 10


async def test_where_somebody_signed_in_is_remembered(collector: Guarded) -> None:
    assert not collector.registers.people.has_signed_in_from("vera", "127.0.0.1")
    await collector.sign_in("vera")
    assert collector.registers.people.has_signed_in_from("vera", "127.0.0.1")
    assert not collector.registers.people.has_signed_in_from("vera", "127.0.0.2")


@pytest.mark.parametrize("password", ["", "short", "x" * 11, "a" * 20, "abababababab", "x" * 513, "vera@example.com"])
def test_a_password_that_is_guessed_first_is_refused(password: str) -> None:
    with pytest.raises(AccessError):
        refuse_weak("Vera@example.com", password)


# --- tokens and roles ------------------------------------------------------------------------------------------------


async def test_a_token_may_do_what_its_person_may_at_that_moment(collector: Guarded) -> None:
    people = collector.registers.people
    token, key, _ = people.issue_token("otto", None, HOUR, OURSELVES)
    less, _, _ = people.issue_token("otto", Role.VIEWER, HOUR, OURSELVES)
    assert (await collector.ask("POST", "/v1/windows", token, json=WINDOW)).http == 201
    assert (await collector.ask("POST", "/v1/windows", less, json=WINDOW)).http == 403
    assert (await collector.ask("GET", "/v1/windows", less)).http == 200
    people.revoke_token(key, OURSELVES)
    assert (await collector.ask("GET", "/v1/windows", token)).http == 401
    people.disable("otto", OURSELVES)
    assert (await collector.ask("GET", "/v1/windows", less)).http == 401
    people.enable("otto", OURSELVES)
    assert (await collector.ask("GET", "/v1/windows", less)).http == 401  # it ended for good
    with pytest.raises(AccessError, match="cannot be more"):
        people.issue_token("vera", Role.OPERATOR, HOUR, OURSELVES)
    with pytest.raises(UnknownError):
        people.revoke_token("nokey", OURSELVES)
    with pytest.raises(UnknownError):
        people.issue_token("nobody", None, HOUR, OURSELVES)


async def test_a_token_ends_with_its_time(collector: Guarded) -> None:
    token, _, _ = collector.registers.people.issue_token("vera", None, DAY, OURSELVES)
    collector.clock.pass_time(DAY - SECOND)
    assert (await collector.ask("GET", "/v1/windows", token)).http == 200
    collector.clock.pass_time(SECOND)
    assert (await collector.ask("GET", "/v1/windows", token)).http == 401


async def test_the_api_of_people_does_what_it_says_and_refuses_what_cannot_be(collector: Guarded) -> None:
    token, _, _ = collector.registers.people.issue_token("otto", None, HOUR, OURSELVES)
    there = Endpoint(collector.url, CollectorAccess(token=token))

    async def post(path: str, **body: object) -> dict[str, object]:
        answer: dict[str, object] = await ask(there, path, method="POST", body=body)
        return answer

    await post("/v1/people", name="anna", role="viewer", password=PASSWORD)
    await post("/v1/people/tokens", name="anna", ttl="1h")
    await post("/v1/people/disabled", name="anna")
    for path, body, words in (
        ("/v1/people", {"name": "ANNA", "role": "operator"}, "name: there is a 'ANNA' already"),
        ("/v1/people", {"name": "../x", "role": "viewer"}, "name: has up to"),
        ("/v1/people", {"name": "bert", "role": "king"}, "role"),
        ("/v1/people", {"name": "bert", "role": "viewer", "password": "short"}, "password: has 12"),
        ("/v1/people", {"name": "bert", "role": "viewer", "admin": True}, "unknown field"),
        ("/v1/people/tokens", {"name": "vera", "ttl": "900d"}, "ttl: a token lives"),
        ("/v1/people/tokens", {"name": "vera", "ttl": "soon"}, "ttl"),
        ("/v1/people/disabled", {"name": "nobody"}, "name: there is nobody"),
        ("/v1/enroll/tokens", {"agent": ""}, "agent: name the agent"),
        ("/v1/enroll/revocations", {"agent": "nobody"}, "agent: there is no agent"),
    ):
        with pytest.raises(CollectorError, match=words) as refused:
            await post(path, **body)
        assert refused.value.refused
    shown = await ask(there, "/v1/people")
    anna = shown["people"][0]
    assert (anna["name"], anna["role"], bool(anna["disabled_at"]), anna["tokens"]) == ("anna", "viewer", True, [])
    deeds = (await ask(there, "/v1/audit"))["deeds"]
    assert [(each["who"], each["act"]) for each in deeds[-3:]] == [
        ("otto", "person added"), ("otto", "API token issued"), ("otto", "person disabled"),
    ]  # fmt: skip
    assert {each["address"] for each in deeds[-3:]} == {"127.0.0.1"}


# --- who wrote it ----------------------------------------------------------------------------------------------------


async def test_the_author_of_an_announcement_is_whoever_sent_it(collector: Guarded) -> None:
    token, _, _ = collector.registers.people.issue_token("otto", None, HOUR, OURSELVES)
    made = (await collector.ask("POST", "/v1/windows", token, json=WINDOW)).json
    assert made["author"] == "otto"
    same = await collector.ask("POST", "/v1/windows", token, json={**WINDOW, "author": "otto"})
    assert same.json["author"] == "otto"
    other = await collector.ask("POST", "/v1/windows", token, json={**WINDOW, "author": "the provider"})
    assert (other.http, other.json["field"]) == (403, "author")
    path = f"/v1/windows/{made['window']}/cancel"
    assert (await collector.ask("POST", f"{path}?author=mallory", token, data=BytesIO(b""))).http == 403
    cancelled = await collector.ask("POST", path, token, data=BytesIO(b""))
    assert (cancelled.http, cancelled.json["author"]) == (200, "otto")
    assert {each.author for each in collector.rooms.register.announcements()} == {"otto"}
    acts = [(each.who, each.act, each.about) for each in collector.registers.database.deeds(10)]
    assert ("otto", "POST", path) in acts
    assert sum(act == "POST" for _, act, _ in acts) == 3  # what was refused changed nothing


async def test_an_imported_calendar_is_written_by_whoever_sent_it(collector: Guarded) -> None:
    token, _, _ = collector.registers.people.issue_token("otto", None, HOUR, OURSELVES)
    calendar = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260601T000000Z\r\n"
        "DTSTART:20260620T000000Z\r\nDTEND:20260620T010000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    path = "/v1/windows/import?calendar=provider"
    refused = await collector.ask("POST", f"{path}&author=mallory", token, data=BytesIO(calendar.encode()))
    assert refused.http == 403
    taken = await collector.ask("POST", path, token, data=BytesIO(calendar.encode()))
    assert [each["author"] for each in taken.json["recorded"]] == ["otto"]


async def test_what_a_file_says_of_authors_is_a_note_under_whoever_sent_it(collector: Guarded) -> None:
    token, _, _ = collector.registers.people.issue_token("otto", None, HOUR, OURSELVES)
    windows = (
        "windows:\n"
        "  - {name: one, start: 2026-06-20T02:00:00Z, duration: 2h, author: the provider}\n"
        "  - {name: two, start: 2026-06-21T02:00:00Z, duration: 2h, author: otto}\n"
        "  - {name: three, start: 2026-06-22T02:00:00Z, duration: 2h}\n"
    )
    path = "/v1/windows/import?calendar=provider&format=yaml"
    taken = await collector.ask("POST", path, token, data=BytesIO(windows.encode()))
    assert taken.http == 200, taken.raw
    assert [each["author"] for each in taken.json["recorded"]] == ["otto, for the provider", "otto", "otto"]


async def test_a_statement_is_issued_by_whoever_asked_for_it(collector: Guarded) -> None:
    token, _, _ = collector.registers.people.issue_token("otto", None, HOUR, OURSELVES)
    path = "/v1/statements/2026-05/revisions"
    assert (await collector.ask("POST", path, token, json={"author": "mallory"})).http == 403
    issued = await collector.ask("POST", path, token, data=BytesIO(b""))
    assert (issued.http, issued.json["issued"]["author"]) == (201, "otto")


async def test_a_seal_is_kept_under_whoever_asked_for_it(collector: Guarded) -> None:
    token, _, _ = collector.registers.people.issue_token("otto", None, HOUR, OURSELVES)
    await collector.send(await collector.credential(), batch(run()))
    assert (await collector.ask("POST", "/v1/evidence/seal", token, data=BytesIO(b""))).http == 200
    last = collector.registers.database.deeds(1)[0]
    assert (last.who, last.act, last.about) == ("otto", "POST", "/v1/evidence/seal")


async def test_nothing_that_somebody_tries_in_vain_fills_the_audit_log(collector: Guarded) -> None:
    before = len(collector.registers.database.deeds(1000))
    await asyncio.gather(*(collector.ask("GET", "/v1/people", f"orp_{n}") for n in range(50)))
    for n in range(50):
        await collector.sign_in("vera", f"guess number {n}")
    assert len(collector.registers.database.deeds(1000)) == before + 5  # as many as were checked
    everything = json.dumps([each.about for each in collector.registers.database.deeds(1000)])
    assert "guess" not in everything
    await collector.sign_in(PASSWORD, "typed into the wrong field")
    assert PASSWORD not in repr(collector.registers.database.deeds(1000))


async def test_a_token_is_sent_to_the_collector_and_not_on(collector: Guarded) -> None:
    """A collector that redirects gets an answer refused, not the token carried elsewhere."""
    token, _, _ = collector.registers.people.issue_token("vera", None, HOUR, OURSELVES)
    with pytest.raises(CollectorError):
        await ask(Endpoint(collector.url, CollectorAccess()), "/")  # 303 to /login: no JSON, not followed
    assert isinstance(await ask(Endpoint(collector.url, CollectorAccess(token=token)), "/v1/windows"), dict)
