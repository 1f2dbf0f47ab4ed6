"""The options of every command that asks a collector: where it is, who asks, and how TLS is checked.

A token is never an argument: arguments can be read by every user of the machine. It comes from a file or from the
environment; an option goes before the environment.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from outrider.collector_access import AccessFileError, AccessFiles, CollectorAccess, checked_token, read_token
from outrider.collector_client import DEFAULT_URL, CollectorError, Endpoint

_FILES = {
    "ca_file": ("OUTRIDER_CA_FILE", "whom to trust for the collector's certificate"),
    "client_cert_file": ("OUTRIDER_CLIENT_CERT_FILE", "a certificate of your own, for a collector that wants one"),
    "client_key_file": ("OUTRIDER_CLIENT_KEY_FILE", "its key"),
}


def add_collector(parser: argparse.ArgumentParser) -> None:
    """Add --collector and the options of access."""
    parser.add_argument("--collector", default=DEFAULT_URL, metavar="URL", help="default: %(default)s")
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="holds your API token; or OUTRIDER_TOKEN, OUTRIDER_TOKEN_FILE"
    )
    for name, (variable, text) in _FILES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, metavar="FILE", help=f"{text}; or {variable}")


def endpoint(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Endpoint:
    """The collector that the options mean. Raises CollectorError."""
    given = {name: getattr(arguments, name) or _path(environ.get(_FILES[name][0])) for name in _FILES}
    files = AccessFiles(None, given["ca_file"], given["client_cert_file"], given["client_key_file"])
    token = your_token(arguments, environ)
    if token and is_in_the_clear(arguments.collector):
        print(f"{arguments.collector}: your token goes there in the clear", file=sys.stderr)
    return Endpoint(arguments.collector, CollectorAccess(files, token))


def your_token(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> str:
    """The API token that was given, if any. Raises CollectorError."""
    try:
        if arguments.token_file is not None:
            return read_token(arguments.token_file)
        if text := environ.get("OUTRIDER_TOKEN"):
            return checked_token(text)
        path = _path(environ.get("OUTRIDER_TOKEN_FILE"))
        return read_token(path) if path else ""
    except AccessFileError as error:
        raise CollectorError(str(error), refused=True) from None
    except ValueError:
        raise CollectorError("OUTRIDER_TOKEN holds no token", refused=True) from None


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def is_in_the_clear(url: str) -> bool:
    """Whether a request leaves this machine without TLS."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return parts.scheme == "http" and host != "localhost" and not ip_address(host).is_loopback
    except ValueError:  # a name
        return url.startswith("http:")
