"""`outrider collector`: receive results, account, show."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from outrider.clock import SystemClock
from outrider.commands import BAD_CONFIG, FAILED, PASS, complain
from outrider.commands.processes import log_to_stderr, run_on_loop, serving, stop_on_signals
from outrider.strict_yaml import ConfigError


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the collector's YAML file")
    parser.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    return run_on_loop(_serve(arguments.config, with_stdin=arguments.until_stdin_closes))


async def _serve(path: Path, *, with_stdin: bool) -> int:
    from outrider_collector.access.settings import told_at_start
    from outrider_collector.access.tls import TlsError, keep_current, server_context
    from outrider_collector.config import load_collector
    from outrider_collector.main import opened
    from outrider_collector.store import StoreFailedError

    try:
        config = load_collector(path)
    except ConfigError as error:
        complain(error)
        return BAD_CONFIG
    log = log_to_stderr("collector")
    try:
        tls = server_context(config.access.tls) if config.access.tls else None
    except TlsError as error:
        log.error("%s", error)
        return BAD_CONFIG
    stop = asyncio.Event()
    stop_on_signals(stop.set, with_stdin=with_stdin)
    try:
        async with opened(config, SystemClock()) as app, serving(app, *config.listen, tls) as url:
            log.info("store %s, page at %s/", config.store, url)
            for line in told_at_start(config.access, config.listen[0], config.store):
                log.info("%s", line)
            watching = [asyncio.create_task(keep_current(tls, config.access.tls))] if tls and config.access.tls else []
            await stop.wait()
            for each in watching:
                each.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
    except StoreFailedError as error:
        log.error("%s", error)
        return FAILED
    except OSError as error:
        log.error("cannot listen on %s:%d: %s", *config.listen, error.strerror)
        return FAILED
    log.info("stopped")
    return PASS
