"""`outrider sandbox`: a clearinghouse and a card gateway to probe, with faults on demand."""

from __future__ import annotations

import argparse
import asyncio

from outrider.commands import BAD_CONFIG, FAILED, PASS
from outrider.commands.processes import log_to_stderr, run_on_loop, stop_on_signals


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listen", default="127.0.0.1:8270", metavar="HOST:PORT", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the latencies; default: %(default)s")
    parser.add_argument("--latency-ms", type=float, default=60.0, help="median of each answer; default: %(default)s")
    parser.add_argument("--sigma", type=float, default=0.35, help="spread of the lognormal; default: %(default)s")
    parser.add_argument(
        "--services",
        default="all",
        metavar="NAME[=PORT],...",
        help="besides HTTP: all, none or names, each on a free port or the one given; default: %(default)s",
    )
    parser.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    from outrider_sandbox import Settings

    log = log_to_stderr("sandbox")
    host, _, port = arguments.listen.rpartition(":")
    try:
        settings = Settings(
            host=host.strip("[]"),
            port=int(port),
            seed=arguments.seed,
            latency_median_ms=arguments.latency_ms,
            latency_sigma=arguments.sigma,
            services=_services(arguments.services),
        )
    except ValueError as error:
        log.error("%s", error)
        return BAD_CONFIG
    return run_on_loop(_serve(settings, with_stdin=arguments.until_stdin_closes))


def _services(text: str) -> dict[str, int]:
    """Read "all", "none" or "switch=8583,mail". Raises ValueError."""
    from outrider_sandbox.services import SERVICES

    if text in ("all", "none"):
        return dict.fromkeys(SERVICES if text == "all" else (), 0)
    chosen = {}
    for each in text.split(","):
        name, _, port = each.partition("=")
        if name not in SERVICES or not (port or "0").isdecimal():
            raise ValueError(f"--services: {each!r} is not NAME or NAME=PORT with one of {', '.join(SERVICES)}")
        chosen[name] = int(port or 0)
    return chosen


async def _serve(settings: object, *, with_stdin: bool) -> int:
    from outrider_sandbox import Addresses, Settings, serve

    def tell(addresses: Addresses) -> None:
        log.info("network at %s, faults at %s/faults", addresses.http, addresses.http)
        for name, url in addresses.services.items():
            log.info("%s at %s", name, url)

    assert isinstance(settings, Settings)
    log = log_to_stderr("sandbox")
    stop = asyncio.Event()
    stop_on_signals(stop.set, with_stdin=with_stdin)
    try:
        await serve(settings, stop=stop, ready=tell)
    except OSError as error:
        log.error("cannot listen on %s:%d or a service's port: %s", settings.host, settings.port, error.strerror)
        return FAILED
    return PASS
