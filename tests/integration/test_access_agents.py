"""Agents at the gate: enrolment once, one agent one name, rotation, revocation, and how much each may send.

Each attack of the security requirements is sent here as its attacker would.
"""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from access_support import OURSELVES, PASSWORD, REQUIRED, Guarded, guarded, write_token
from collector_support import NOON, SettableClock, batch, run
from polling_support import until_true

from outrider.codecs.records import encode_record
from outrider.collector_access import AccessFileError, AccessFiles, CollectorAccess
from outrider.core.units import DAY, HOUR, SECOND
from outrider.shipper import Shipper
from outrider.spool import Outbox
from outrider_collector.access import AccessError, Role, UnknownError
from outrider_collector.access.settings import AccessSettings
from outrider_collector.access.tokens import Kind, new_token


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Guarded]:
    async with guarded(tmp_path) as made:
        yield made


@pytest.fixture
def outbox(tmp_path: Path, clock: SettableClock) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "spool", agent="east-1", clock=clock)) as made:
        yield made


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


# --- enrolment -------------------------------------------------------------------------------------------------------


async def test_an_enrolment_token_is_good_once(collector: Guarded) -> None:
    token = collector.enrolment()
    first = await collector.enrol(token)
    assert (first.http, first.json["agent"], first.headers["Cache-Control"]) == (201, "east-1", "no-store")
    second = await collector.enrol(token)
    assert (second.http, "was used" in second.error) == (401, True)
    assert len(collector.registers.agents.all()) == 1
    assert (await collector.send(first.json["credential"])).http == 200


async def test_of_two_that_bring_one_token_at_once_one_gets_in(collector: Guarded) -> None:
    token = collector.enrolment()
    answers = await asyncio.gather(*(collector.enrol(token) for _ in range(8)))
    assert sorted(each.http for each in answers) == [201] + [401] * 7


async def test_a_late_enrolment_token_is_refused(collector: Guarded) -> None:
    token = collector.enrolment(ttl=HOUR)
    collector.clock.pass_time(HOUR)
    late = await collector.enrol(token)
    assert (late.http, "is late" in late.error) == (401, True)
    assert collector.registers.agents.all() == []


@pytest.mark.parametrize(
    "token", ["", "ore_", "ore_" + "A" * 43, "x" * 100_00, "ore_ä", new_token(Kind.AGENT), new_token(Kind.SESSION)]
)
async def test_what_is_no_enrolment_token_enrols_nobody(collector: Guarded, token: str) -> None:
    assert (await collector.enrol(token.encode("latin-1").decode("latin-1"))).http in (400, 401)
    assert collector.registers.agents.all() == []


async def test_a_token_of_another_agent_is_refused_and_not_used_up(collector: Guarded) -> None:
    token = collector.enrolment("east-1")
    answer = await collector.ask("POST", "/v1/enroll", token, json={"agent": "west-1"})
    assert (answer.http, "east-1" in answer.error) == (403, True)
    assert (await collector.ask("POST", "/v1/enroll", token, json={"agent": "east-1"})).http == 201


@pytest.mark.parametrize(
    ("agent", "region", "ttl"),
    [("", "", HOUR), ("a\nb", "", HOUR), (" a", "", HOUR), ("a" * 201, "", HOUR), ("a", "\x00", HOUR), ("a", "", 0),
     ("a", "", 31 * DAY)],
)  # fmt: skip
async def test_a_token_that_cannot_be_meant_is_not_issued(
    collector: Guarded, agent: str, region: str, ttl: int
) -> None:
    with pytest.raises(AccessError):
        collector.registers.agents.issue_token(agent, region, ttl, OURSELVES)


# --- what is kept ----------------------------------------------------------------------------------------------------


def spellings(secret: str) -> set[bytes]:
    """A secret in every encoding that somebody may have kept it in."""
    random = secret.partition("_")[2] or secret
    raw = base64.urlsafe_b64decode(random + "=" * (-len(random) % 4)) if "_" in secret else random.encode()
    texts = {
        secret,
        random,
        raw.hex(),
        raw.hex().upper(),
        base64.b64encode(raw).decode(),
        base64.b32encode(raw).decode(),
    }
    texts |= {base64.b64encode(text.encode()).decode().rstrip("=") for text in (secret, random)}
    texts |= {text.encode().hex() for text in (secret, random)} | {secret[::-1]}
    return {text.encode(code) for text in texts for code in ("utf-8", "utf-16-le", "utf-16-be")} | {raw, raw[::-1]}


def kept_in(folder: Path, names: str = "*") -> list[Path]:
    return [path for path in folder.rglob(names) if path.is_file()]


async def test_a_stolen_register_holds_no_secret_in_any_encoding(collector: Guarded, tmp_path: Path) -> None:
    credential = await collector.credential()
    collector.enrolment("west-1")
    collector.person("vera", Role.VIEWER, password=PASSWORD)
    await collector.sign_in("vera")
    rotated = await collector.ask("POST", "/v1/enroll/rotate", credential)
    collector.secrets.append(rotated.json["credential"])
    assert len({each.partition("_")[0] for each in collector.secrets}) == 4  # one of each kind, at the least
    files = kept_in(tmp_path)
    assert {"results.access.sqlite", "results.access.sqlite-wal"} <= {path.name for path in files}
    for path in files:
        stored = path.read_bytes()
        for secret in [*collector.secrets, PASSWORD]:
            assert not any(spelling in stored for spelling in spellings(secret)), path


async def test_the_search_of_the_stolen_register_would_find_one(tmp_path: Path) -> None:
    secret = new_token(Kind.AGENT)
    with closing(sqlite3.connect(tmp_path / "x")) as database:
        database.execute("CREATE TABLE t (v)")
        for spelling in spellings(secret):
            database.execute("INSERT INTO t VALUES (?)", (spelling,))
        database.commit()
    stored = (tmp_path / "x").read_bytes()
    assert all(spelling in stored for spelling in spellings(secret))


async def test_the_secrets_have_256_random_bits_and_the_register_is_for_its_user_alone(
    collector: Guarded, tmp_path: Path
) -> None:
    made = {new_token(kind) for kind in Kind for _ in range(100)}
    assert len(made) == 100 * len(Kind)
    assert {len(base64.urlsafe_b64decode(each[4:] + "=")) for each in made} == {32}
    for path in kept_in(tmp_path, "results.access.sqlite*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


async def test_the_audit_log_only_grows(collector: Guarded, tmp_path: Path) -> None:
    await collector.credential()
    before = collector.registers.database.deeds(100)
    assert [each.act for each in before] == ["enrolment token issued", "enrolled"]
    with closing(sqlite3.connect(tmp_path / "results.access.sqlite")) as thief:
        for statement in (
            "DELETE FROM deeds",
            "UPDATE deeds SET who = 'nobody'",
            "INSERT OR REPLACE INTO deeds VALUES (1, 0, 'x', 'x', 'x', 'x')",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                thief.execute(statement)
            thief.rollback()
    assert collector.registers.database.deeds(100) == before


# --- one agent, one name ---------------------------------------------------------------------------------------------


async def test_an_agent_that_sends_as_another_is_refused(collector: Guarded) -> None:
    east = await collector.credential("east-1")
    await collector.credential("west-1")
    answer = await collector.send(east, batch(run(), agent="west-1"))
    assert (answer.http, "east-1's" in answer.error) == (403, True)
    assert collector.rooms.store.extents() == {}
    assert (await collector.send(east)).http == 200


@pytest.mark.parametrize("spelling", ["EAST-1", "east-1 ", "east-1\x00", "еast-1", ""])
async def test_a_name_that_looks_like_the_agents_is_another(collector: Guarded, spelling: str) -> None:
    credential = await collector.credential("east-1")
    assert (await collector.send(credential, batch(run(), agent=spelling))).http in (400, 403)


async def test_an_agent_of_one_region_speaks_for_no_other(collector: Guarded) -> None:
    credential = await collector.credential("east-1", "east")
    made = batch(run())
    assert (await collector.send(credential, replace(made, region="west"))).http == 403
    smuggled = await collector.send(credential, batch(run(), run(NOON + SECOND, region="west")))
    assert (smuggled.http, "region east" in smuggled.error) == (403, True)
    assert collector.rooms.store.extents() == {}
    assert (await collector.send(credential, made)).http == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer ora_",
        "Bearer ora_" + "A" * 43,
        "Bearer " + "x" * 8000,
        "Bearer \xff",
    ],
)
async def test_what_is_no_credential_sends_nothing(collector: Guarded, authorization: str) -> None:
    answer = await collector.ask("POST", "/v1/results", data=b"", headers={"Authorization": authorization})
    assert answer.http in (400, 401)
    assert collector.rooms.store.extents() == {}


async def test_a_replayed_batch_changes_no_row_and_is_counted(collector: Guarded) -> None:
    credential = await collector.credential()
    made = batch(run(), run(NOON + SECOND))
    assert (await collector.send(credential, made)).json["stored"] == 2
    position = collector.rooms.store.position(2**62)
    for _ in range(3):
        again = await collector.send(credential, made)
        assert (again.http, again.json["stored"], again.json["duplicates"]) == (200, 0, 2)
    assert collector.rooms.store.position(2**62) == position
    assert collector.rooms.intake.senders["east-1"].duplicates == 6
    stranger = await collector.credential("west-1")
    assert (await collector.send(stranger, made)).http == 403  # what was overheard is of no use to another agent


# --- rotation and revocation -----------------------------------------------------------------------------------------


async def test_the_old_credential_is_good_until_the_new_one_was_used(collector: Guarded) -> None:
    old = await collector.credential()
    new = (await collector.ask("POST", "/v1/enroll/rotate", old)).json["credential"]
    assert (await collector.send(old)).http == 200
    assert (await collector.send(new)).http == 200
    assert (await collector.send(old)).http == 401
    assert (await collector.send(new)).http == 200


async def test_a_rotation_that_was_cut_off_is_made_again(collector: Guarded) -> None:
    old = await collector.credential()
    await collector.send(old)
    lost = (await collector.ask("POST", "/v1/enroll/rotate", old)).json["credential"]
    new = (await collector.ask("POST", "/v1/enroll/rotate", old)).json["credential"]
    assert (await collector.send(lost)).http == 401
    assert (await collector.send(old)).http == 200
    assert (await collector.send(new)).http == 200
    assert (await collector.send(old)).http == 401


async def test_a_revoked_agent_is_refused_from_its_next_request_on(collector: Guarded) -> None:
    credential, other = await collector.credential(), await collector.credential("west-1")
    unused = collector.enrolment("east-1")
    assert (await collector.send(credential)).http == 200
    assert collector.registers.agents.revoke("east-1", OURSELVES) == 2
    answer = await collector.send(credential)  # no time has passed
    assert (answer.http, "revoked" in answer.error) == (401, True)
    assert (await collector.enrol(unused)).http == 401
    assert (await collector.ask("POST", "/v1/enroll/rotate", credential)).http == 401
    assert (await collector.send(other, batch(run(), agent="west-1"))).http == 200
    with pytest.raises(UnknownError):
        collector.registers.agents.revoke("nobody", OURSELVES)


async def test_an_agent_that_another_process_revoked_is_refused_as_soon(collector: Guarded, tmp_path: Path) -> None:
    credential = await collector.credential()
    assert (await collector.send(credential)).http == 200
    with closing(sqlite3.connect(tmp_path / "results.access.sqlite")) as beside:
        beside.execute("UPDATE credentials SET revoked_at = 1")
        beside.commit()
    assert (await collector.send(credential)).http == 401


# --- how much --------------------------------------------------------------------------------------------------------


async def test_ten_times_the_agreed_rate_is_refused_and_others_are_not_affected(tmp_path: Path) -> None:
    limits = AccessSettings(is_required=True, requests=2, records=100)
    async with guarded(tmp_path, limits) as collector:
        greedy, modest = await collector.credential("east-1"), await collector.credential("west-1")
        made = batch(run(), agent="west-1")
        answers = []
        for second in range(30):  # 20 requests a second for 30 seconds, of a clock that only we move
            collector.clock.elapsed = second * SECOND
            answers += [(await collector.send(greedy)).http for _ in range(20)]
            assert (await collector.send(modest, made)).http == 200
        assert answers.count(200) == 2 * 10 + 2 * 29  # what was saved, and the rate
        assert set(answers) == {200, 429}
        refused = await collector.send(greedy)
        assert (refused.http, refused.headers["Retry-After"]) == (429, "1")
        collector.clock.elapsed += int(refused.headers["Retry-After"]) * SECOND
        assert (await collector.send(greedy)).http == 200


async def test_records_are_limited_beside_requests(tmp_path: Path) -> None:
    async with guarded(tmp_path, AccessSettings(is_required=True, requests=1000, records=1)) as collector:
        credential = await collector.credential()
        many = batch(*(run(NOON + n) for n in range(25)))
        assert (await collector.send(credential, many)).http == 200  # more than was saved: it overdraws, once
        refused = await collector.send(credential, many)
        assert (refused.http, refused.headers["Retry-After"]) == (429, "15")
        collector.clock.elapsed += 16 * SECOND
        assert (await collector.send(credential, many)).http == 200


async def test_guessing_enrolment_tokens_is_slowed(tmp_path: Path) -> None:
    async with guarded(tmp_path, AccessSettings(is_required=True, requests=1)) as collector:
        answers = [(await collector.enrol(new_token(Kind.ENROLMENT))).http for _ in range(15)]
        assert answers == [401] * 10 + [429] * 5


# --- the agent's side ------------------------------------------------------------------------------------------------


async def test_a_shipper_waits_for_its_credential_and_goes_on_without_a_restart(
    outbox: Outbox, clock: SettableClock, tmp_path: Path
) -> None:
    async with guarded(tmp_path, replace(REQUIRED, requests=1e6)) as collector:
        await waits_and_goes_on(collector, outbox, clock, tmp_path)


async def waits_and_goes_on(collector: Guarded, outbox: Outbox, clock: SettableClock, tmp_path: Path) -> None:
    path = tmp_path / "spool.credential"
    told: list[str] = []
    shipper = Shipper(
        outbox, url=collector.url, region="east", clock=clock, warn=told.append,
        access=CollectorAccess(AccessFiles(path)), pause=lambda _: asyncio.sleep(0.001),
    )  # fmt: skip
    for n in range(3):
        await outbox.append(encode_record(run(NOON + n)))
    shipping = asyncio.create_task(shipper.run())
    try:
        await until_true("the shipper says HTTP 401", lambda: "HTTP 401" in shipper.trouble)
        assert outbox.counts()["waiting"] == 3
        write_token(path, await collector.credential())
        await until_true("nothing waits", lambda: outbox.counts()["waiting"] == 0)
        collector.registers.agents.revoke("east-1", OURSELVES)
        await outbox.append(encode_record(run(NOON + 3)))
        await until_true("the shipper says HTTP 401", lambda: "HTTP 401" in shipper.trouble)
        assert outbox.counts()["waiting"] == 1
        write_token(path, await collector.credential("west-1"))
        await until_true("the shipper says HTTP 403", lambda: "HTTP 403" in shipper.trouble)
        path.write_text("no token, but a sentence\n")
        await until_true("the shipper says holds no token", lambda: "holds no token" in shipper.trouble)
        assert outbox.counts()["waiting"] == 1
        write_token(path, await collector.credential())
        await until_true("nothing waits", lambda: outbox.counts()["waiting"] == 0)
    finally:
        shipping.cancel()
        await asyncio.gather(shipping, return_exceptions=True)
    assert sum("HTTP 401" in each for each in told) == 2  # told once each time, not at every attempt
    assert not any(secret in each for each in told for secret in collector.secrets)


def test_a_credential_is_written_whole_and_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "credential"
    write_token(path, "ora_first")
    write_token(path, "ora_second")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["credential"]
    assert CollectorAccess(AccessFiles(path)).headers() == {"Authorization": "Bearer ora_second"}
    with pytest.raises(AccessFileError, match="cannot be written"):
        write_token(Path("/proc/credential"), "ora_third")
