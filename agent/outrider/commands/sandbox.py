"""`outrider sandbox`: a clearinghouse and a card gateway to probe, with faults on demand."""

from __future__ import annotations

import argparse
import asyncio
import logging

from outrider.codecs.iso8583 import BITMAPS
from outrider.codecs.iso8583_framing import PREFIXES, Framing
from outrider.commands import BAD_CONFIG, FAILED, PASS
from outrider.commands.processes import log_to_stderr, run_on_loop, stop_on_signals


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listen", default="127.0.0.1:8270", metavar="HOST:PORT", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the latencies; default: %(default)s")
    parser.add_argument("--latency-ms", type=float, default=60.0, help="median of each answer; default: %(default)s")
    parser.add_argument("--sigma", type=float, default=0.35, help="spread of the lognormal; default: %(default)s")
    parser.add_argument(
        "--claim-answer",
        default="277CA",
        metavar="WHAT",
        help="to an 837: 277CA, 999, 999+277CA (two groups) or 999,277CA (two interchanges); default: %(default)s",
    )
    parser.add_argument(
        "--settlement", type=float, default=86_400.0, metavar="SECONDS", help="of payments; default: %(default)s"
    )
    parser.add_argument("--decline-avs", default="", metavar="LETTERS", help="AVS results to decline, such as NU")
    parser.add_argument("--decline-cvv", default="", metavar="LETTERS", help="CVV results to decline, such as N")
    parser.add_argument(
        "--services",
        default="all",
        metavar="NAME[=PORT],...",
        help="besides HTTP: all, none or names, each on a free port or the one given; default: %(default)s",
    )
    parser.add_argument(
        "--switch-length",
        default="binary-2",
        choices=tuple(PREFIXES),
        help="how the card switch writes the length of a message; default: %(default)s",
    )
    parser.add_argument(
        "--switch-bitmap",
        default="hex",
        choices=BITMAPS,
        help="how the card switch writes bitmaps; default: %(default)s",
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
            claim_answer=arguments.claim_answer,
            settlement_s=arguments.settlement,
            declined_avs=arguments.decline_avs,
            declined_cvv=arguments.decline_cvv,
            services=_services(arguments.services, log),
            switch_framing=Framing(arguments.switch_length),
            switch_bitmap=arguments.switch_bitmap,
        )
    except ValueError as error:
        log.error("%s", error)
        return BAD_CONFIG
    return run_on_loop(_serve(settings, with_stdin=arguments.until_stdin_closes))


def _services(text: str, log: logging.Logger) -> dict[str, int]:
    """Read "all", "none" or "switch=8583,mail". Of all, those are left out whose library is not there. Raises
    ValueError."""
    from outrider_sandbox.services import SERVICES, available

    missing = {name: why for name, why in available().items() if why}
    if text in ("all", "none"):
        for name, why in missing.items() if text == "all" else ():
            log.warning("without the service %s: %s", name, why)
        return {name: 0 for name in SERVICES if text == "all" and name not in missing}
    chosen = {}
    for each in text.split(","):
        name, _, port = each.partition("=")
        if name not in SERVICES or not (port or "0").isdecimal():
            raise ValueError(f"--services: {each!r} is not NAME or NAME=PORT with one of {', '.join(SERVICES)}")
        if name in missing:
            raise ValueError(f"--services: {name}: {missing[name]}")
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
