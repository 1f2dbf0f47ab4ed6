"""Row S16 of docs/security.md: what a collector sends an agent, over real sockets, and what the agent makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from check_set_support import (
    AGENT,
    OTHERS,
    Folder,
    Hostile,
    check,
    configured_agent,
    hostile_collector,
    new_session,
    sent,
    signed,
)
from polling_support import until_true

from outrider.check_set_client import CheckSetClient
from outrider.check_sets import REASONS
from outrider.codecs.check_sets import MOST_BYTES, SignedSet, encode


@dataclass
class Field:
    """An agent, and a collector that may be anybody's."""

    agent: Folder
    collector: Hostile
    session: aiohttp.ClientSession
    client: CheckSetClient

    async def offer(self, offered: SignedSet | bytes) -> None:
        self.collector.offer(offered)
        await self.client.ask(self.session)


@pytest.fixture
async def field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Field]:
    monkeypatch.setenv("GRANTED", "granted-secret")
    monkeypatch.setenv("WITHHELD", "withheld-secret")
    async with (
        hostile_collector() as collector,
        configured_agent(tmp_path, collector.url) as agent,
        new_session() as session,
    ):
        yield Field(agent, collector, session, agent.client())


async def test_a_signed_set_is_taken_and_told_to_the_collector(field: Field) -> None:
    await field.offer(signed(check("new"), 7))
    assert field.agent.names == ["asking", "new"]
    assert field.agent.version == 7
    report = field.collector.reports[-1]
    assert (report.agent, report.version, report.refused, report.reason) == ("east-1", 7, 0, "")
    assert field.agent.told == ["check set 7 is in force: read"]


async def test_the_files_own_checks_stay_and_the_next_set_takes_the_place_of_the_one_before(field: Field) -> None:
    await field.offer(signed(check("first"), 1))
    kept = field.agent.configured.config.checks[0]
    await field.offer(signed(check("second"), 2))
    assert field.agent.names == ["asking", "second"]
    assert field.agent.configured.config.checks[0] is kept
    await field.offer(signed("checks: []\n", 3))
    assert field.agent.names == ["asking"]


PAYING = "{ method: POST, path: /pay, json: { amount: AMOUNT, currency: CURRENCY } }"
UNDONE = "    no_cleanup_because: it is a test\n    money: { max_amount: MOST, currency: CURRENCY }\n"


def paying(amount: int, most: int, currency: str = "USD") -> str:
    text = sent(PAYING, more=UNDONE)
    return text.replace("AMOUNT", str(amount)).replace("MOST", str(most)).replace("CURRENCY", currency)


ATTACKS: dict[str, tuple[str, str, str]] = {
    "a target that is none of ours": (check(target="elsewhere"), "target", "has no target 'elsewhere'"),
    "an address for a target": (check(target='"https://evil.test"'), "target", "has no target 'https://evil.test'"),
    "targets of its own": (check() + 'targets: { portal: { url: "https://evil.test" } }\n', "file", "unknown key"),
    "headers for a target": (check() + "headers: { X: y }\n", "file", "unknown key 'headers'"),
    "a policy": (check() + 'policy: { hosts: ["*"] }\n', "file", "unknown key 'policy'"),
    "a cap": (check() + "money: { daily_cap: { USD: 1000000 } }\n", "file", "unknown key 'money'"),
    "outcomes": (check() + "outcomes: []\n", "file", "unknown key 'outcomes'"),
    "another collector": (check() + 'collector: { url: "https://evil.test" }\n', "file", "unknown key 'collector'"),
    "a scenario by its path": (check(scenario="../../../etc/passwd"), "scenario", "names none by its path"),
    "a scenario by an absolute path": (check(scenario="/etc/scenario.yaml"), "scenario", "names none by its path"),
    "a scenario by a file's name": (check(scenario="ask.yaml"), "scenario", "names none by its path"),
    "a scenario that is not there": (check(scenario="aks"), "scenario", "there is no scenario 'aks'"),
    "a program": (sent("{ path: /, exec: [sh, -c, id] }"), "file", "unknown key 'exec'"),
    "a probe that is a program": (sent("{ argv: [id] }", probe="exec"), "file", "there is no probe 'exec'"),
    "a file in a request": (sent('{ path: "/${file:/etc/passwd}" }'), "file", "nothing from an agent's files"),
    "a file in a check": (check(name='"${file:/etc/passwd}"'), "file", "nothing from an agent's files"),
    "a file in a key": (sent('{ path: /, json: { "${file:/etc/passwd}": 1 } }'), "file", "nothing from an agent's"),
    "the environment": (sent('{ path: "/${env:HOME}" }'), "file", "nothing from an agent's files or environment"),
    "an environment escaped": (sent('{ path: "/$${env:HOME}" }'), "file", "nothing from an agent's files"),
    "a secret that was not granted": (sent('{ path: "/${secret:WITHHELD}" }'), "secret", "does not grant WITHHELD"),
    "a host header": (sent('{ path: /, headers: { hOsT: inner.test } }'), "scenario", "brings no header 'hOsT'"),
    "a credential": (sent('{ path: /, headers: { Authorization: x } }'), "scenario", "brings no header"),
    "a path that climbs": (sent("{ path: /../admin }"), "scenario", "does not climb"),
    "a path that climbs, encoded": (sent("{ path: /a/%2E%2e/admin }"), "scenario", "does not climb"),
    "a path that climbs, in a name": (
        sent('{ path: "/a/${up}/admin" }', more="    names: { up: .. }\n"), "scenario", "does not climb",
    ),
    "a path that climbs, in the form of a time": (sent('{ path: "/${now:../..}/admin" }'), "scenario", "not climb"),
    "the same in a name": (
        sent('{ path: "/.${up}/admin" }', more='    names: { up: "${now:.}" }\n'), "scenario", "does not climb",
    ),
    "a reference of the agent's": (check(target="elsewhere-on-it"), "target", "on the host of a reference"),
    "a slash in disguise": (sent('{ path: "/a/..%2fadmin" }'), "scenario", "does not climb"),
    "another port": (sent("{ port: 22 }", probe="tcp", target="line"), "policy", "port 22"),
    "another name for the certificate": (sent("{ server_name: evil.test }", probe="tls"), "scenario", "brings no host"),
    "another SIP host": (sent('{ uri: "sip:evil.test" }', probe="sip", target="line"), "scenario", "brings no host"),
    "a probe on the wrong way": (sent("{}", probe="tcp", target="line").replace("tcp", "fhir"), "file", "request"),
    "more money than the cap": (paying(1001, 2000), "money", "the agent's own cap is 1000"),
    "money without a cap": (paying(10, 100, "EUR"), "money", "no money.daily_cap for EUR"),
    "more than its own limit": (paying(200, 100), "file", "200"),
    "a check of the agent's own name": (check("asking"), "name", "has a check 'asking' of its own"),
    "a name that rests in the agent's file": (check("resting"), "name", "has a check 'resting' of its own"),
    "a name twice": (check() + check().removeprefix("checks:\n"), "file", "two checks are called 'new'"),
    "too often": (check().replace("30s", "2s").replace("15s", "1s"), "target", "every 5s at most"),
    "a hang that hides": (check().replace("15s", "45s"), "file", "not shorter than the interval"),
    "a person who is real": (sent("{ path: / }").replace("synthetic: true", "synthetic: false"), "file", "synthetic"),
    "a tag": ("checks: !!python/object/apply:os.system [id]\n", "file", "tags"),
    "an alias bomb": ("a: &a [x, x]\nchecks: [*a, *a]\n", "file", "anchors and aliases"),
    "no YAML": ("checks: [", "file", "not valid YAML"),
    "nothing": ("", "file", "1:1"),
    "others' agents": (check() + "for: { agents: [west-*] }\n", "audience", "for other agents"),
    "others' region": (check() + "for: { regions: [us-west] }\n", "audience", "for other agents"),
    "nobody": (check() + "for: { agents: [] }\n", "audience", "for other agents"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
async def test_what_the_agents_own_file_does_not_allow_refuses_the_whole_set(field: Field, attack: str) -> None:
    text, reason, told = ATTACKS[attack]
    await field.offer(signed(check("good"), 1))
    before = field.agent.configured.config
    await field.offer(signed(text, 2))
    assert field.agent.configured.config is before
    assert field.agent.refusals == {reason: 1}
    report = field.collector.reports[-1]
    assert (report.version, report.refused, report.reason) == (1, 2, reason)
    assert told in report.detail
    assert any(f"({reason})" in line and "goes on as before" in line for line in field.agent.told)
    assert "withheld-secret" not in report.detail


async def test_one_bad_check_among_good_ones_refuses_all_of_them(field: Field) -> None:
    await field.offer(signed(check("good") + check("bad", target="elsewhere").removeprefix("checks:\n")))
    assert field.agent.names == ["asking"]
    assert field.agent.refusals == {"target": 1}


async def test_a_check_for_another_region_is_held_against_the_file_too_but_does_not_run(field: Field) -> None:
    away = check("away").replace("timeout: 15s", "timeout: 15s, regions: [eu]")
    await field.offer(signed(away, 1))
    assert (field.agent.names, field.agent.version) == (["asking"], 1)
    await field.offer(signed(away.replace("target: portal", "target: elsewhere"), 2))
    assert field.agent.refusals == {"target": 1}


async def test_what_the_file_grants_is_used_and_a_granted_secret_is_masked(field: Field) -> None:
    await field.offer(signed(sent('{ path: "/${secret:GRANTED}" }')))
    assert field.agent.version == 1
    assert "granted-secret" not in field.agent.configured.surroundings().describe("it was granted-secret")


async def test_money_within_the_files_own_cap_is_taken_and_counted_by_its_purse(field: Field) -> None:
    await field.offer(signed(paying(600, 600)))
    assert field.agent.version == 1
    scenario = field.agent.configured.config.checks[-1].scenario
    purse = field.agent.configured.purse()
    assert purse.withhold(scenario) is None
    withheld = purse.withhold(scenario)
    assert withheld is not None
    assert withheld.reason == "daily-cap"


def changed(offered: SignedSet, **fields: Any) -> SignedSet:
    return msgspec.structs.replace(offered, **fields)


GOOD = signed(check("good"), 5)
FORGERIES = {
    "signed by somebody else": (signed(check("good"), 5, OTHERS), "key"),
    "somebody else's signature under our name": (
        changed(GOOD, signature=signed(check("good"), 5, OTHERS).signature), "signature",
    ),
    "a signature over another text": (changed(GOOD, text=check("other")), "signature"),
    "a signature over another version": (changed(GOOD, version=6), "signature"),
    "a space more": (changed(GOOD, text=GOOD.text + " "), "signature"),
    "no signature": (changed(GOOD, signature="0" * 128), "signature"),
    "a key that is no point": (changed(GOOD, key="f" * 64), "key"),
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forgery_is_refused(field: Field, forgery: str) -> None:
    offered, reason = FORGERIES[forgery]
    await field.offer(offered)
    assert (field.agent.names, field.agent.refusals) == (["asking"], {reason: 1})


async def test_no_flipped_bit_of_the_answer_gets_past(field: Field) -> None:
    raw = encode(GOOD)
    for bit in range(0, len(raw) * 8, 37):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        await field.offer(bytes(flipped))
        assert field.agent.names == ["asking"], f"bit {bit}"
    assert set(field.agent.refusals) <= {"unreadable", "key", "signature"}
    await field.offer(raw)
    assert field.agent.version == 5


GARBAGE = {
    "nothing": b"",
    "no JSON": b"<html>",
    "null": b"null",
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "a key more": b'{"also":' + b"[" * 50_000,
    "a version that is none": encode(GOOD).replace(b'"version":5', b'"version":-5'),
    "a version past all": encode(GOOD).replace(b'"version":5', b'"version":9007199254740992'),
    "half a surrogate": encode(GOOD).replace(b'"text":"', b'"text":"\\ud800'),
    "not UTF-8": encode(GOOD).replace(b'"text":"', b'"text":"\xff'),
    "cut short": encode(GOOD)[:-2],
    "too large": b" " * (MOST_BYTES + 1),
    "too long a text": encode(GOOD).replace(b'"text":"', b'"text":"' + b"#" * (300 << 10)),
}


@pytest.mark.parametrize("what", GARBAGE)
async def test_garbage_is_refused_and_counted_once(field: Field, what: str) -> None:
    await field.offer(GARBAGE[what])
    await field.offer(GARBAGE[what])
    assert (field.agent.names, field.agent.refusals) == (["asking"], {"unreadable": 1})
    assert field.collector.reports[-1].reason == "unreadable"


async def test_an_older_set_does_not_come_back_nor_does_another_one_of_the_same_version(field: Field) -> None:
    await field.offer(signed(check("old"), 3))
    await field.offer(signed(check("new"), 4))
    await field.offer(signed(check("old"), 3))
    assert (field.agent.names, field.agent.version) == (["asking", "new"], 4)
    await field.offer(signed(check("another"), 4))
    assert (field.agent.names, field.agent.refusals) == (["asking", "new"], {"version": 2})
    await field.offer(signed(check("new"), 4))
    assert field.collector.reports[-1].reason == ""


async def test_the_version_and_the_set_outlive_a_restart_without_a_collector(tmp_path: Path) -> None:
    async with (
        hostile_collector() as collector,
        new_session() as session,
        configured_agent(tmp_path, collector.url) as agent,
    ):
        collector.offer(signed(check("kept"), 8))
        await agent.offer(session)
        assert agent.version == 8
    async with configured_agent(tmp_path, is_new=False) as again:
        assert (again.names, again.version) == (["asking", "kept"], 8)
    # Another collector, with an old set: a restart does not forget what was taken.
    async with hostile_collector() as other, new_session() as session:
        (tmp_path / "agent.yaml").write_text(AGENT.format(url=other.url))
        async with configured_agent(tmp_path, is_new=False) as third:
            other.offer(signed(check("old"), 7))
            await third.offer(session)
            assert (third.names, third.refusals) == (["asking", "kept"], {"version": 1})


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda raw: raw.replace(b"kept", b"evil"), "signature"),
        (lambda raw: raw[: len(raw) // 2], "unkept"),
        (lambda _: b"", "unkept"),
        (lambda _: encode(signed(check("forged"), 1, OTHERS)), "unkept"),
    ],
)
async def test_what_was_kept_is_verified_again_and_damage_lets_no_old_set_in(
    tmp_path: Path, harm: Any, reason: str
) -> None:
    async with hostile_collector() as collector, new_session() as session:
        async with configured_agent(tmp_path, collector.url) as agent:
            collector.offer(signed(check("kept"), 8))
            await agent.offer(session)
        file = tmp_path / "spool.db.check-set"
        file.write_bytes(harm(file.read_bytes()))
        async with configured_agent(tmp_path, is_new=False) as again:
            assert (again.names, again.refusals) == (["asking"], {reason: 1})
            collector.offer(signed(check("old"), 7))
            await again.offer(session)
            assert again.names == ["asking"]


async def test_a_set_that_cannot_be_kept_is_not_taken(field: Field) -> None:
    (field.agent.path / "spool.db.check-set.new").mkdir()
    await field.offer(signed(check("new")))
    assert (field.agent.names, field.agent.refusals) == (["asking"], {"unkept": 1})


async def test_keys_rotate_and_a_key_that_leaves_the_file_takes_its_set_with_it(field: Field) -> None:
    await field.offer(signed(check("by-us"), 1))
    await field.agent.rewrite("public_key_file: ours.pem", "public_key_file: [ours.pem, others.pem]")
    assert field.agent.names == ["asking", "by-us"]
    await field.offer(signed(check("by-others"), 2, OTHERS))
    assert field.agent.names == ["asking", "by-others"]
    await field.agent.rewrite("public_key_file: [ours.pem, others.pem]", "public_key_file: ours.pem")
    assert (field.agent.names, field.agent.refusals) == (["asking"], {"key": 1})
    await field.offer(signed(check("by-us"), 1))
    assert field.agent.refusals == {"key": 1, "version": 1}


async def test_without_the_key_in_its_file_an_agent_takes_nothing_and_drops_what_it_had(field: Field) -> None:
    await field.offer(signed(check("new"), 1))
    await field.agent.rewrite("check_sets: { public_key_file: ours.pem, secrets: [GRANTED] }\n", "")
    assert (field.agent.names, field.agent.version) == (["asking"], 0)
    await field.offer(signed(check("new"), 2))
    assert field.agent.names == ["asking"]


async def test_the_agents_own_file_wins_when_it_changes_and_the_set_comes_back_when_it_fits_again(field: Field) -> None:
    await field.offer(signed(check("taken"), 1))
    text = (field.agent.path / "agent.yaml").read_text()
    (field.agent.path / "agent.yaml").write_text(text.replace("name: resting", "name: taken"))
    made = await field.agent.configured.reload()
    assert made.is_in_force
    assert "the check set is out of force: check set 1:2:13: the agent has a check 'taken' of its own" in made.told
    assert (field.agent.names, field.agent.version) == (["asking"], 0)
    assert field.agent.refusals == {"name": 1}
    await field.agent.rewrite("name: taken", "name: resting")
    assert (field.agent.names, field.agent.version) == (["asking", "taken"], 1)
    await field.client.ask(field.session)
    assert field.collector.reports[-1].reason == ""


async def test_a_refused_set_is_looked_at_again_when_the_agents_own_file_has_changed(field: Field) -> None:
    await field.offer(signed(check(target="new-one")))
    await field.client.ask(field.session)
    assert field.agent.refusals == {"target": 1}
    await field.agent.rewrite("  gateway:", '  new-one: { url: "https://new.test" }\n  gateway:')
    await field.client.ask(field.session)
    assert (field.agent.names, field.agent.version) == (["asking", "new"], 1)


# --- the way there ---------------------------------------------------------------------------------------------------


async def test_a_redirect_is_not_followed(field: Field) -> None:
    async def away(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"{field.collector.url}/v1/check-sets/elsewhere")

    field.collector.answer = away
    await field.client.ask(field.session)
    assert len(field.collector.asked) == 1
    assert "HTTP 302" in field.client.trouble
    assert field.agent.names == ["asking"]


async def test_a_collector_that_drips_is_left_after_the_time_limit(field: Field) -> None:
    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    field.collector.answer = dripping
    async with new_session(timeout_s=0.3) as impatient:
        await field.client.ask(impatient)
    assert field.client.trouble
    assert field.agent.names == ["asking"]


async def test_an_answer_without_end_is_read_no_further_than_a_set_may_be(field: Field) -> None:
    written = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)
            written += 65536

    field.collector.answer = endless
    await field.client.ask(field.session)
    assert field.agent.refusals == {"unreadable": 1}
    assert written < 64 * MOST_BYTES


async def test_a_compressed_bomb_is_not_opened(field: Field) -> None:
    async def bomb(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"\x1f\x8b\x08\x00" + b"\x00" * 1000, headers={"Content-Encoding": "gzip"})

    field.collector.answer = bomb
    await field.client.ask(field.session)
    assert field.agent.refusals == {"unreadable": 1}


async def test_an_unchanged_set_is_asked_for_by_its_digest(field: Field) -> None:
    offered = signed(check("new"))
    await field.offer(offered)
    await field.client.ask(field.session)
    assert field.collector.asked[0].headers.get("If-None-Match") is None
    assert field.collector.asked[1].headers["If-None-Match"] == f'"{offered.digest}"'
    assert len(field.collector.reports) == 1


async def test_two_collectors_with_different_sets_cannot_swing_an_agent_back_and_forth(field: Field) -> None:
    ones, others = signed(check("ones"), 2), signed(check("others"), 3)
    for offered in (ones, others, ones, others, ones):
        await field.offer(offered)
    assert field.agent.names == ["asking", "others"]
    assert field.agent.refusals == {"version": 2}


async def test_pauses_are_drawn_anew_and_grow_while_nobody_answers(tmp_path: Path) -> None:
    async with configured_agent(tmp_path) as agent:
        pauses: list[float] = []

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            await asyncio.sleep(0 if len(pauses) < 8 else 3600)

        client = CheckSetClient(agent.configured, warn=agent.told.append, pause=pause, jitter=lambda low, high: high)
        running = asyncio.create_task(client.run())
        await until_true("it asked often enough", lambda: len(pauses) == 8)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert pauses[0] == pytest.approx(72)
        assert pauses[-1] == pytest.approx(720)
        assert len(agent.told) == 1


def test_every_reason_is_sent_by_some_attack() -> None:
    tried = {reason for _, reason, _ in ATTACKS.values()} | {reason for _, reason in FORGERIES.values()}
    assert tried | {"unreadable", "version", "unkept"} == set(REASONS)
