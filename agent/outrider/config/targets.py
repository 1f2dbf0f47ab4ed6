"""Targets and addresses as a file names them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from outrider.config.file import AgentFile
from outrider.probes import HTTP_SCHEMES, Target
from outrider.strict_yaml import (
    Loaded,
)
from outrider.target_policy import check_host
from outrider.zones import read_zone

_SCHEMES = ("http", "https", "tcp", "tls", "udp")


def read_target(loaded: Loaded[AgentFile], name: str, base: Path) -> Target:
    wanted = loaded.value.targets[name]
    try:
        zone = read_zone(wanted.zone)
    except ValueError as error:
        raise loaded.located.error(("targets", name, "zone"), str(error)) from None
    url = read_url(loaded, ("targets", name, "url"), wanted.url, _SCHEMES)
    try:
        check_host(urlsplit(url).hostname or "")
    except ValueError as error:
        raise loaded.located.error(("targets", name, "url"), str(error)) from None
    return Target(
        name,
        url,
        tuple(wanted.headers.items()),
        None if wanted.ca_file is None else str(base / wanted.ca_file),
        wanted.verify_tls,
        zone,
    )


def read_url(loaded: Loaded[Any], at: tuple[str | int, ...], text: str, schemes: Iterable[str] = HTTP_SCHEMES) -> str:
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, an IPv6 address that is not closed
        is_address = False
    if not is_address:
        *first, last = (f"{scheme}://" for scheme in schemes)
        raise loaded.located.error(at, f"{text!r} is not an address; it begins with {', '.join(first)} or {last}")
    return text


def parse_address(loaded: Loaded[Any], at: tuple[str | int, ...], text: str) -> tuple[str, int]:
    """Read "127.0.0.1:9464". Raises ConfigError at the place."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise loaded.located.error(at, f"{text!r} is not an address; write it like 127.0.0.1:9464")
    return host.strip("[]"), int(port)
