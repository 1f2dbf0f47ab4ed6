"""The collector's side of TLS: 1.2 at least, its certificate read again when the files change."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outrider_collector.access.settings import Certified, TlsSettings

LOOK_EVERY_S = 5.0
_log = logging.getLogger("outrider")


class TlsError(Exception):
    """The files are no certificate and key; the message says why."""


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """What the collector serves by. A certificate that `client_ca` did not sign ends the handshake. Raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, settings)
    if settings.client_ca is not None:
        try:
            context.load_verify_locations(settings.client_ca)
        except (ssl.SSLError, OSError) as error:
            raise TlsError(f"{settings.client_ca}: {error}") from None
        # Where people need none, the gate asks agents for theirs; one that is shown has to be good in any case.
        is_all = settings.clients is Certified.ALL
        context.verify_mode = ssl.CERT_REQUIRED if is_all else ssl.CERT_OPTIONAL
    return context


async def keep_current(context: ssl.SSLContext, settings: TlsSettings, every_s: float = LOOK_EVERY_S) -> None:
    """Take another certificate when its files changed, for connections from then on. One that cannot be read is told
    of, and the old one stays. Raises only CancelledError."""
    taken = seen = _stamps(settings)
    while True:
        await asyncio.sleep(every_s)
        now = await asyncio.to_thread(_stamps, settings)
        if now == seen and now != taken:  # it has stood still for one look: whoever writes it is done
            taken = now
            try:
                server_context(settings)
                _load(context, settings)
                _log.info("the certificate %s was read again", settings.certificate)
            except TlsError as error:
                _log.error("the certificate stays as it was: %s", error)
        seen = now


def names_in(certificate: Mapping[str, Any]) -> frozenset[str]:
    """Whom a verified certificate was made for: its common names and DNS names."""
    common = {value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"}
    return frozenset(common | {value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"})


def _load(context: ssl.SSLContext, settings: TlsSettings) -> None:
    try:
        context.load_cert_chain(settings.certificate, settings.key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise TlsError(f"{settings.certificate} and {settings.key}: {error}") from None


def _no_password() -> str:
    """OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted; give it without a password, readable by the collector alone")


def _stamps(settings: TlsSettings) -> tuple[tuple[int, int, int] | None, ...]:
    return tuple(_stamp(path) for path in (settings.certificate, settings.key))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
