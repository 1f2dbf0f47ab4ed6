"""What a collector's file says about who gets in, and how it is read."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from outrider.strict_yaml import Loaded


class Access(StrEnum):
    """`required`: everybody says who they are. `open`: whoever reaches the collector may do everything."""

    REQUIRED = "required"
    OPEN = "open"


class Certified(StrEnum):
    """Who has to show a certificate, where `client_ca_file` names whose are trusted."""

    ALL = "all"
    AGENTS = "agents"


class TlsFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The collector's certificate. With `client_ca_file`, clients show one that it signed: `clients` says which ones;
    with `client_names` an agent's has to name it (common name, or a DNS name)."""

    cert_file: str
    key_file: str
    client_ca_file: str | None = None
    clients: Certified = Certified.ALL
    client_names: bool = False


class LimitsFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much one agent may send, a second; ten seconds' worth at once after a rest."""

    requests: float = 20
    records: float = 20_000


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The files of a TLS server."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    clients: Certified = Certified.ALL
    client_names: bool = False


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Who gets in, how, and how much each agent may send."""

    is_required: bool = False
    is_told: bool = True
    """Whether the file says so itself."""

    metrics_open: bool = False
    tls: TlsSettings | None = None
    requests: float = 20
    records: float = 20_000


OPEN = AccessSettings()


def read_access(
    loaded: Loaded[Any],
    host: str,
    *,
    access: Access | None,
    metrics: Access,
    tls: TlsFile | None,
    limits: LimitsFile,
    folder: Path,
) -> AccessSettings:
    """Raises ConfigError. Beyond loopback everybody has to say who they are, unless the file says otherwise."""
    for key in ("requests", "records"):
        if not getattr(limits, key) > 0:
            raise loaded.located.error(("limits", key), "a limit is more than nothing, a second")
    if tls is not None and tls.client_names and tls.client_ca_file is None:
        raise loaded.located.error(("tls", "client_names"), "names of certificates count only with a client_ca_file")
    is_required = access is Access.REQUIRED or (access is None and not is_loopback(host))
    return AccessSettings(
        is_required,
        access is not None,
        metrics is Access.OPEN,
        None if tls is None else _tls(loaded, tls, folder),
        limits.requests,
        limits.records,
    )


def _tls(loaded: Loaded[Any], file: TlsFile, folder: Path) -> TlsSettings:
    for key in ("cert_file", "key_file", "client_ca_file"):
        name = getattr(file, key)
        if name is not None and not (folder / name).is_file():
            raise loaded.located.error(("tls", key), f"there is no file {str(folder / name)!r}")
    return TlsSettings(
        folder / file.cert_file,
        folder / file.key_file,
        None if file.client_ca_file is None else folder / file.client_ca_file,
        file.clients,
        file.client_names,
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # another name: it may lead anywhere
        return False


def told_at_start(settings: AccessSettings, host: str, store: Path) -> list[str]:
    """What somebody who starts a collector should know of who gets in."""
    told = []
    if not settings.is_required:
        why = "its file says `access: open`" if settings.is_told else "it listens on loopback alone"
        told.append(f"access is open: whoever reaches it may do everything, since {why}")
    else:
        told.append(
            "access is required; the first operator is made beside the store: "
            f"outrider people add NAME --role operator --store {store}"
        )
    if settings.tls is None and not is_loopback(host):
        told.append("no TLS: credentials, tokens and results go in the clear beyond this machine; `tls` ends that")
    return told
