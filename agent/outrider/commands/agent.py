"""`outrider agent`: probe continuously, keep results, ship them. `outrider agent doctor`: how that goes."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from outrider.agent_http import AgentMetrics, Readiness, build_app
from outrider.check_set_client import CheckSetClient
from outrider.check_sets import MOST_CHECKS
from outrider.clock import SystemClock
from outrider.collector_access import CollectorAccess
from outrider.collector_clock import CollectorClock
from outrider.commands import BAD_CONFIG, FAILED, PASS, complain
from outrider.commands.agent_doctor import doctor
from outrider.commands.collector_options import is_in_the_clear
from outrider.commands.processes import kept_up, log_to_stderr, reload_on_hangup, run_on_loop, serving, stop_on_signals
from outrider.config import AgentConfig, load_agent
from outrider.core.units import SECOND, Duration
from outrider.purse import Withheld
from outrider.reloading import Configured, Reloaded
from outrider.runner import Ended, LoopLag, Runner
from outrider.shipper import Shipper
from outrider.spool import Outbox, SpoolError
from outrider.strict_yaml import ConfigError
from outrider.transport.gate import POLICY_PLACE
from outrider.transport.wires import Wires

_GREETING: Duration = 2 * SECOND


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="?", choices=("doctor",), help="say how the spool stands and where the runs went, and end"
    )
    parser.add_argument("--json", action="store_true", help="with doctor: as JSON")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the agent's YAML file")
    parser.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    try:
        config = load_agent(arguments.config)
    except ConfigError as error:
        complain(error)
        return BAD_CONFIG
    clock = SystemClock()
    if arguments.what == "doctor":
        return run_on_loop(doctor(config, clock, as_json=arguments.json))
    try:
        outbox = Outbox(
            config.spool_path,
            agent=config.name,
            clock=clock,
            quota=config.spool_quota,
            retention=config.spool_retention,
            number=config.number,
        )
    except SpoolError as error:
        print(f"outrider agent: {error}", file=sys.stderr)
        return BAD_CONFIG
    try:
        return run_on_loop(_serve(arguments.config, config, outbox, clock, with_stdin=arguments.until_stdin_closes))
    finally:
        outbox.close()


async def _serve(path: Path, config: AgentConfig, outbox: Outbox, clock: SystemClock, *, with_stdin: bool) -> int:
    log = log_to_stderr(f"agent {config.name}")
    # Names are resolved in these threads: one that hangs must not keep the others waiting.
    most = len(config.checks) + (0 if config.granted is None else MOST_CHECKS)
    threads = ThreadPoolExecutor(max_workers=max(16, 2 * most), thread_name_prefix="resolve")
    asyncio.get_running_loop().set_default_executor(threads)
    if outbox.set_aside is not None:
        log.warning(
            "the spool was damaged and set aside as %s; what could be read goes on in epoch %s",
            outbox.set_aside,
            outbox.epoch,
        )
    lag, transport = LoopLag(clock), Wires(clock, config.policy)
    configured = Configured(
        path, config, clock=clock, outbox=outbox, transport=transport, lag=lag, keep_to=transport.keep_to
    )
    collector_clock = CollectorClock(clock, config.clock_path)
    access = CollectorAccess(config.collector_files)
    shipper = Shipper(
        outbox,
        url=config.collector_url,
        region=config.region,
        clock=clock,
        collector_clock=collector_clock,
        interval=config.ship_interval,
        warn=log.warning,
        access=access,
    )
    metrics = AgentMetrics(outbox, shipper, config.region)
    metrics.follow(configured)
    for name in sorted({check.target.name for check in config.checks if not check.target.verify_tls}):
        log.warning("target %s: whoever answers is taken for it (verify_tls: false)", name)
    runner = _runner(configured, outbox, collector_clock, metrics, log)
    configured.serve_with(runner)
    stop_on_signals(runner.stop, with_stdin=with_stdin)
    reload = _reload(configured, log)
    reload_on_hangup(reload)
    offers = CheckSetClient(configured, access=access, info=log.info, warn=log.warning)
    if configured.sets.refusal is not None:
        log.warning("the check set that was taken before is not in force: %s", configured.sets.refusal.words)
    readiness = Readiness(lambda: "" if runner.checks else f"no check is configured for region {config.region}")
    pages = build_app(metrics, readiness, reload, configured.shown)
    try:
        async with serving(pages, *config.listen) as url:
            log.info("%d checks from %s, spool %s, metrics at %s/metrics", len(configured.config.checks),
                     config.region, config.spool_path, url)  # fmt: skip
            if is_in_the_clear(config.collector_url):
                log.warning("results and the credential go to %s in the clear; https ends that", config.collector_url)
            if not config.references:
                log.info("no reference targets: an outage of this agent's own line would count against the service")
            # What is there now stays: the collector of garbage need not look at it again.
            gc.collect()
            gc.freeze()
            await shipper.greet(_GREETING)
            beside = (
                lag.watch,
                shipper.run,
                configured.references.watch,
                lambda: configured.watch(_tell_of(log)),
                offers.run,
            )
            background = [asyncio.create_task(kept_up(each, log.error)) for each in beside]
            await runner.run()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            if not await shipper.drain(configured.config.drain):
                log.warning("%d results wait in the spool for the next start", outbox.counts()["waiting"])
    except OSError as error:
        log.error("cannot listen on %s:%d: %s", *config.listen, error.strerror)
        return FAILED
    finally:
        await transport.close()
    log.info("stopped")
    return PASS


def _runner(
    configured: Configured, outbox: Outbox, collector_clock: CollectorClock, metrics: AgentMetrics, log: logging.Logger
) -> Runner:
    """The runner with its hooks; why a check that pays does not run is told once, until it runs again."""
    told: dict[str, str] = {}

    def withheld(check: str, why: Withheld) -> None:
        metrics.withheld(check, why)
        if told.get(check) != why.words:
            log.warning("check %s does not run: %s", check, why.words)
        told[check] = why.words

    def observe(ended: Ended) -> None:
        record = ended.record
        if record.place != POLICY_PLACE:
            told.pop(record.check, None)
        elif told.get(record.check) != record.detail:
            log.warning("check %s measures nothing: %s", record.check, record.detail)
            told[record.check] = record.detail
        metrics.observe(ended)

    return Runner(
        configured.config.checks,
        configured.surroundings(),
        outbox,
        read=collector_clock.read,
        observe=observe,
        missed=metrics.missed,
        purse=configured.purse(),
        withheld=withheld,
    )


def _tell_of(log: logging.Logger) -> Callable[[Reloaded], None]:
    return lambda made: log.log(logging.INFO if made.is_in_force else logging.ERROR, "reload: %s", made.told)


def _reload(configured: Configured, log: logging.Logger) -> Callable[[], Coroutine[None, None, Reloaded]]:
    """Reload, and tell of it."""

    async def reload() -> Reloaded:
        made = await configured.reload()
        _tell_of(log)(made)
        return made

    return reload
