"""The collector's side of check sets: what is stored, what is handed to whom, what agents say."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from check_set_support import OTHERS, check, configured_agent, new_session, signed
from collector_support import Answer, SettableClock

from outrider.codecs.check_sets import MOST_BYTES, SignedSet, Taken, decode, encode
from outrider.commands.processes import serving
from outrider_collector import check_sets
from outrider_collector.app import _refusals
from outrider_collector.check_sets import CheckSetRegister
from outrider_collector.check_sets_api import add_check_sets, standing
from outrider_collector.store import StoreFailedError


@dataclass
class Shelf:
    """The routes over a register, as the collector has them."""

    register: CheckSetRegister
    url: str
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        async with self.session.request(method, self.url + path, data=BytesIO(body), headers=headers) as response:
            return Answer(response.status, response.headers, await response.read())

    async def publish(self, offered: SignedSet) -> Answer:
        return await self.ask("POST", "/v1/check-sets", encode(offered))

    async def current(self, agent: str = "east-1", region: str = "us-east", etag: str = "") -> Answer:
        headers = {"If-None-Match": etag} if etag else {}
        return await self.ask("GET", f"/v1/check-sets/current?agent={agent}&region={region}", headers=headers)


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    register, app = (
        CheckSetRegister(tmp_path / "sets.sqlite", SettableClock()),
        web.Application(middlewares=[_refusals]),
    )
    add_check_sets(app, register)
    try:
        async with serving(app, "127.0.0.1", 0) as url, aiohttp.ClientSession() as session:
            yield Shelf(register, url, session)
    finally:
        register.close()


async def test_a_set_comes_out_as_it_went_in_with_its_digest(shelf: Shelf) -> None:
    offered = signed(check("new") + "# with a comment: é\n", 3)
    assert (await shelf.publish(offered)).http == 200
    answer = await shelf.current()
    assert decode(answer.raw) == offered
    assert answer.headers["ETag"] == f'"{offered.digest}"'
    assert (await shelf.current(etag=answer.headers["ETag"])).http == 304
    assert decode((await shelf.ask("GET", "/v1/check-sets/3")).raw) == offered


async def test_versions_only_grow_and_the_same_set_may_come_twice(shelf: Shelf) -> None:
    first = signed(check("a"), 5)
    assert (await shelf.publish(first)).http == 200
    assert (await shelf.publish(first)).http == 200
    for other in (signed(check("b"), 5), signed(check("b"), 4), signed(check("a"), 5, OTHERS)):
        refused = await shelf.publish(other)
        assert (refused.http, "versions only grow" in refused.error) == (409, True)
    assert [each.version for each in shelf.register.published()] == [5]


async def test_each_agent_gets_the_newest_set_that_is_for_it(shelf: Shelf) -> None:
    await shelf.publish(signed(check("all"), 1))
    await shelf.publish(signed(check("west") + "for: { agents: [west-*] }\n", 2))
    await shelf.publish(signed(check("eu") + "for: { regions: [eu-*] }\n", 3))
    given = {
        agent: decode((await shelf.current(agent, region)).raw).version
        for agent, region in (("east-1", "us-east"), ("west-1", "us-west"), ("west-2", "eu-1"))
    }
    assert given == {"east-1": 1, "west-1": 2, "west-2": 3}


async def test_an_agent_without_a_set_is_told_so(shelf: Shelf) -> None:
    assert (await shelf.current()).http == 204


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (encode(msgspec.structs.replace(signed(check()), text=check("other"))), 422, "the signature is not"),
        (encode(signed("for: { agent: [x] }\nchecks: []\n")), 422, "unknown key 'agent'"),
        (encode(signed("checks: [")), 422, "not valid YAML"),
        (b"{}", 422, "this is no check set"),
        (b" " * (MOST_BYTES + 1), 413, "at most"),
    ],
)
async def test_what_is_no_signed_check_set_is_not_published(shelf: Shelf, body: bytes, status: int, told: str) -> None:
    answer = await shelf.ask("POST", "/v1/check-sets", body)
    assert (answer.http, told in answer.error) == (status, True)
    assert shelf.register.published() == ()


@pytest.mark.parametrize("path", ["/v1/check-sets/9", "/v1/check-sets/x", "/v1/check-sets/99999999999999999999"])
async def test_a_version_that_is_not_there_is_not_found(shelf: Shelf, path: str) -> None:
    assert (await shelf.ask("GET", path)).http == 404


async def test_who_asks_has_to_say_so(shelf: Shelf) -> None:
    assert (await shelf.ask("GET", "/v1/check-sets/current?agent=a")).http == 422
    assert (await shelf.current("a" * 201)).http == 422


async def test_a_report_stands_until_the_next_one_of_that_agent(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_sets, "MOST_AGENTS", 2)
    await shelf.publish(signed(check(), 2))

    async def told(agent: str, version: int, **refusal: Any) -> int:
        taken = Taken(agent=agent, region="us-east", version=version, **refusal)
        return (await shelf.ask("POST", "/v1/check-sets/taken", msgspec.json.encode(taken))).http

    assert await told("a", 1, refused=2, reason="target", detail="no target") == 204
    assert await told("b", 2) == 204
    assert await told("c", 2) == 429
    assert await told("a", 2) == 204
    said = standing(shelf.register)
    assert said["newest"] == 2
    found = [(each["agent"], each["version"], each["offered"], each["reason"]) for each in said["agents"]]
    assert found == [("a", 2, 2, ""), ("b", 2, 2, "")]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"agent":"","region":"r","version":1}', b"x" * 20_000])
async def test_a_report_that_is_none_is_refused(shelf: Shelf, body: bytes) -> None:
    assert (await shelf.ask("POST", "/v1/check-sets/taken", body)).http in (413, 422)


async def test_the_register_is_append_only_and_opens_again(tmp_path: Path) -> None:
    path = tmp_path / "sets.sqlite"
    register = CheckSetRegister(path, SettableClock())
    register.publish(signed(check(), 4))
    register.close()
    file = sqlite3.connect(path)
    for statement in (
        "DELETE FROM sets",
        "UPDATE sets SET text = ''",
        "INSERT INTO sets VALUES (3, '', '', '', '', 0)",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            file.execute(statement)
    file.close()
    again = CheckSetRegister(path, SettableClock())
    assert [each.version for each in again.published()] == [4]
    again.close()
    path.write_bytes(b"no database " * 100)
    with pytest.raises(StoreFailedError, match="cannot open"):
        CheckSetRegister(path, SettableClock())


async def test_an_agent_takes_what_this_collector_hands_out_and_asks_for_changes_only(
    shelf: Shelf, tmp_path: Path
) -> None:
    async with configured_agent(tmp_path, shelf.url) as agent, new_session() as session:
        client = agent.client()
        await client.ask(session)
        assert (agent.version, client.trouble) == (0, "")
        await shelf.publish(signed(check("new"), 6))
        await client.ask(session)
        await client.ask(session)
        assert (agent.names, client.trouble) == (["asking", "new"], "")
    assert [each["version"] for each in standing(shelf.register)["agents"]] == [6]
