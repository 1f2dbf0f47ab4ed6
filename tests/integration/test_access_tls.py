"""TLS at the collector: whose certificate is trusted, on both sides, and what becomes of the others."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import warnings
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from access_support import OURSELVES, PASSWORD, Guarded, guarded, trusting, write_token
from collector_support import SettableClock, run
from polling_support import until

from outrider.codecs.records import encode_record
from outrider.collector_access import AccessFileError, AccessFiles, CollectorAccess
from outrider.collector_client import CollectorError, Endpoint, ask
from outrider.core.units import SECOND
from outrider.shipper import Shipper
from outrider.spool import Outbox
from outrider_collector.access import Role
from outrider_collector.access.settings import AccessSettings, Certified, TlsSettings
from outrider_collector.access.tls import TlsError, keep_current, names_in, server_context
from outrider_sandbox.lines.certificates import Authority

DAY = timedelta(days=1)


class Folder:
    """Certificates in files: the collector's, agents', and those of an authority that nobody trusts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._now = datetime.now(UTC)
        self._ours, self._theirs = Authority(self._now, "ours"), Authority(self._now, "theirs")
        self.ca, self.other_ca = path / "ca.pem", path / "other-ca.pem"
        self.ca.write_bytes(self._ours.pem)
        self.other_ca.write_bytes(self._theirs.pem)
        self.server = self.issue("server", ["127.0.0.1"])

    def issue(
        self, file: str, names: list[str], *, for_client: bool = False, trusted: bool = True, days: int = 1
    ) -> tuple[Path, Path]:
        authority = self._ours if trusted else self._theirs
        end = self._now + days * DAY
        made = authority.issue(names, min(self._now, end) - DAY, end, for_client=for_client)
        paths = self.path / f"{file}.pem", self.path / f"{file}.key"
        for path, raw in zip(paths, made, strict=True):
            path.write_bytes(raw)
        return paths

    def settings(
        self, *, client_ca: bool = False, clients: Certified = Certified.ALL, client_names: bool = False
    ) -> AccessSettings:
        tls = TlsSettings(*self.server, self.ca if client_ca else None, clients, client_names)
        return AccessSettings(is_required=True, tls=tls)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


async def reaches(collector: Guarded, context: ssl.SSLContext, path: str = "/-/healthy", token: str = "") -> int | str:
    """The HTTP answer, or how the connection failed."""
    try:
        return (await collector.ask("GET", path, token, ssl=context)).http
    except aiohttp.ClientConnectorCertificateError:
        return "server not trusted"
    except (aiohttp.ClientError, ssl.SSLError, OSError):
        return "refused"


async def test_only_a_collector_whose_certificate_is_trusted_is_spoken_to(folder: Folder) -> None:
    async with guarded(folder.path, folder.settings()) as collector:
        assert collector.url.startswith("https://")
        assert await reaches(collector, trusting(folder.ca)) == 200
        assert await reaches(collector, trusting(folder.other_ca)) == "server not trusted"
        assert await reaches(collector, ssl.create_default_context()) == "server not trusted"


async def test_tls_before_1_2_is_refused(folder: Folder) -> None:
    context = trusting(folder.ca)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with guarded(folder.path, folder.settings()) as collector:
        assert await reaches(collector, context) == "refused"


async def test_without_a_certificate_or_with_one_that_is_not_trusted_nobody_gets_in(folder: Folder) -> None:
    good = folder.issue("good", ["east-1"], for_client=True)
    untrusted = folder.issue("untrusted", ["east-1"], for_client=True, trusted=False)
    late = folder.issue("late", ["east-1"], for_client=True, days=-1)
    for_servers = folder.issue("for-servers", ["east-1"])
    async with guarded(folder.path, folder.settings(client_ca=True)) as collector:
        assert await reaches(collector, trusting(folder.ca)) == "refused"
        for pair in (untrusted, late, for_servers):
            assert await reaches(collector, trusting(folder.ca, *pair)) == "refused"
        assert await reaches(collector, trusting(folder.ca, *good)) == 200


async def test_where_only_agents_need_a_certificate_people_do_not(folder: Folder) -> None:
    good = trusting(folder.ca, *folder.issue("good", ["east-1"], for_client=True))
    untrusted = trusting(folder.ca, *folder.issue("untrusted", ["east-1"], for_client=True, trusted=False))
    async with guarded(folder.path, folder.settings(client_ca=True, clients=Certified.AGENTS)) as collector:
        people = trusting(folder.ca)
        vera = collector.person("vera", Role.VIEWER)
        assert await reaches(collector, people, "/v1/status", vera) == 200
        assert await reaches(collector, untrusted, "/v1/status", vera) == "refused"
        refused = await collector.ask("POST", "/v1/enroll", collector.enrolment(), ssl=people)
        assert (refused.http, "client certificate" in refused.error) == (403, True)
        assert (await collector.ask("POST", "/v1/enroll", collector.enrolment(), ssl=good)).http == 201


async def test_a_certificate_of_another_agent_is_refused_where_names_count(folder: Folder) -> None:
    mine = trusting(folder.ca, *folder.issue("mine", ["east-1"], for_client=True))
    others = trusting(folder.ca, *folder.issue("others", ["west-1"], for_client=True))
    settings = folder.settings(client_ca=True, client_names=True)
    async with guarded(folder.path, settings) as collector:
        token = collector.enrolment("east-1")
        stolen = await collector.ask("POST", "/v1/enroll", token, ssl=others)
        assert (stolen.http, "does not name" in stolen.error) == (403, True)
        credential = (await collector.ask("POST", "/v1/enroll", token, ssl=mine)).json["credential"]
        stolen = await collector.ask("POST", "/v1/results", credential, data=b"", ssl=others)
        assert (stolen.http, "does not name" in stolen.error) == (403, True)
        assert (await collector.ask("POST", "/v1/results", credential, data=b"", ssl=mine)).http == 400  # an empty body


async def test_under_tls_the_cookie_is_for_tls_and_this_host_alone(folder: Folder) -> None:
    async with guarded(folder.path, folder.settings()) as collector:
        collector.registers.people.add("vera", Role.VIEWER, PASSWORD, OURSELVES)
        cookie = (await collector.sign_in("vera", ssl=trusting(folder.ca))).headers["Set-Cookie"]
        assert cookie.startswith("__Host-outrider_session=ors_")
        assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "Domain" not in cookie
        bare = cookie.partition(";")[0].removeprefix("__Host-")  # as a page of another subdomain could plant it
        assert (await collector.ask("GET", "/", headers={"Cookie": bare}, ssl=trusting(folder.ca))).http == 303


# --- agents and commands ---------------------------------------------------------------------------------------------


async def test_a_shipper_delivers_by_its_credential_and_its_certificate(folder: Folder) -> None:
    pair = folder.issue("east", ["east-1"], for_client=True)
    clock = SettableClock()
    async with guarded(folder.path, folder.settings(client_ca=True, client_names=True)) as collector:
        mine = trusting(folder.ca, *pair)
        credential = (await collector.ask("POST", "/v1/enroll", collector.enrolment(), ssl=mine)).json["credential"]
        write_token(folder.path / "credential", credential)
        access = CollectorAccess(AccessFiles(folder.path / "credential", folder.ca, *pair))
        with closing(Outbox(folder.path / "spool", agent="east-1", clock=clock)) as outbox:
            await outbox.append(encode_record(run()))
            shipper = Shipper(
                outbox, url=collector.url, region="east", clock=clock, access=access,
                pause=lambda _: asyncio.sleep(0.001),
            )  # fmt: skip
            assert await shipper.drain(10 * SECOND)
            distrusting = Shipper(
                outbox, url=collector.url, region="east", clock=clock,
                access=CollectorAccess(AccessFiles(folder.path / "credential", folder.other_ca)),
            )  # fmt: skip
            assert not await distrusting.greet(SECOND)  # the credential was not sent to whoever answered
        assert collector.rooms.store.extents() == {("east-1", outbox.epoch): [(1, 1)]}


async def test_a_command_asks_over_tls_with_its_token(folder: Folder) -> None:
    async with guarded(folder.path, folder.settings()) as collector:
        token = collector.person("vera", Role.VIEWER)
        there = Endpoint(collector.url, CollectorAccess(AccessFiles(ca=folder.ca), token))
        assert await ask(there, "/v1/windows") == {"windows": []}
        for access in (CollectorAccess(AccessFiles(ca=folder.ca)), CollectorAccess(token=token)):
            with pytest.raises(CollectorError):
                await ask(Endpoint(collector.url, access), "/v1/windows")
        missing = CollectorAccess(AccessFiles(ca=folder.path / "none.pem"))
        with pytest.raises(CollectorError, match=r"none\.pem"):
            await ask(Endpoint(collector.url, missing), "/v1/windows")


# --- the files -------------------------------------------------------------------------------------------------------


async def test_a_new_certificate_is_taken_without_a_restart_and_a_bad_one_is_not(folder: Folder) -> None:
    settings = folder.settings()
    assert settings.tls is not None
    context = server_context(settings.tls)
    watching = asyncio.create_task(keep_current(context, settings.tls, every_s=0.02))

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    async def serial() -> str:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting(folder.ca))
        found = str(writer.get_extra_info("peercert")["serialNumber"])
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return found

    seen = [await serial()]

    async def another() -> bool:
        seen.append(await serial())
        return seen[-1] != seen[0]

    try:
        folder.server[1].write_text("half a key")  # between the two files of a renewal
        before = await serial()
        folder.issue("server", ["127.0.0.1"])
        await until("another certificate is served", another)
        assert before == seen[0]
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        server.close()
        await server.wait_closed()


def test_files_that_are_no_certificate_are_told_by_name(folder: Folder) -> None:
    settings = TlsSettings(*folder.server)
    with pytest.raises(TlsError, match=r"ca\.pem"):
        server_context(replace(settings, key=folder.ca))
    with pytest.raises(TlsError, match=r"server\.key"):
        server_context(replace(settings, client_ca=folder.server[1]))
    with pytest.raises(AccessFileError, match=r"server\.key"):
        CollectorAccess(AccessFiles(ca=folder.server[1])).tls()


def test_the_names_of_a_certificate_are_its_common_and_dns_names() -> None:
    certificate = {
        "subject": ((("organizationName", "x"),), (("commonName", "east-1"),)),
        "subjectAltName": (("DNS", "east-1.example"), ("IP Address", "127.0.0.1"), ("URI", "west-1")),
    }
    assert names_in(certificate) == {"east-1", "east-1.example"}
    assert names_in({}) == frozenset()
