"""`outrider agent`: probe continuously, keep results, ship them. `outrider agent doctor`: how that goes."""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from outrider.agent_http import AgentMetrics, Readiness, build_app
from outrider.clock import SystemClock
from outrider.commands import BAD_CONFIG, FAILED, PASS, complain
from outrider.commands.agent_doctor import doctor
from outrider.commands.processes import log_to_stderr, run_on_loop, serving, stop_on_signals
from outrider.config import AgentConfig, load_agent
from outrider.core.units import SECOND, Duration
from outrider.execution import Surroundings
from outrider.generators import Generators
from outrider.purse import Withheld
from outrider.redact import Redactor, printable
from outrider.runner import Ended, LoopLag, Runner
from outrider.shipper import Shipper
from outrider.spool import Outbox, SpoolError
from outrider.strict_yaml import ConfigError
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
        return run_on_loop(_serve(config, outbox, clock, with_stdin=arguments.until_stdin_closes))
    finally:
        outbox.close()


async def _serve(config: AgentConfig, outbox: Outbox, clock: SystemClock, *, with_stdin: bool) -> int:
    log = log_to_stderr(f"agent {config.name}")
    # Names are resolved in these threads: one that hangs must not keep the others waiting.
    threads = ThreadPoolExecutor(max_workers=max(16, 2 * len(config.checks)), thread_name_prefix="resolve")
    asyncio.get_running_loop().set_default_executor(threads)
    if outbox.set_aside is not None:
        log.warning(
            "the spool was damaged and set aside as %s; what could be read goes on in epoch %s",
            outbox.set_aside,
            outbox.epoch,
        )
    shipper = Shipper(
        outbox,
        url=config.collector_url,
        region=config.region,
        clock=clock,
        interval=config.ship_interval,
        warn=log.warning,
    )
    metrics = AgentMetrics(outbox, shipper, config.region)
    lag = LoopLag(clock)
    transport = Wires(clock)
    redactor = Redactor(config.secret_values | config.private_values)
    surroundings = Surroundings(
        region=config.region,
        transport=transport,
        clock=clock,
        generate=Generators(clock, outbox, config.secrets.__getitem__, config.number),
        table=config.table,
        lag=lag,
        describe=lambda text: printable(redactor.detail(text)),
    )

    def offset() -> tuple[Duration | None, Duration | None]:
        found = shipper.offset
        return (None, None) if found is None else (found.offset, found.error)

    told: dict[str, str] = {}

    def withheld(check: str, why: Withheld) -> None:
        metrics.withheld(check, why)
        if told.get(check) != why.words:
            log.warning("check %s does not run: %s", check, why.words)
        told[check] = why.words

    def observe(ended: Ended) -> None:
        told.pop(ended.record.check, None)
        metrics.observe(ended)

    runner = Runner(
        config.checks,
        surroundings,
        outbox,
        offset=offset,
        observe=observe,
        missed=metrics.missed,
        purse=config.purse(clock),
        withheld=withheld,
    )
    stop_on_signals(runner.stop, with_stdin=with_stdin)
    readiness = Readiness(lambda: "" if config.checks else f"no check is configured for region {config.region}")
    try:
        async with serving(build_app(metrics, readiness), *config.listen) as url:
            log.info("%d checks from %s, spool %s, metrics at %s/metrics", len(config.checks), config.region,
                     config.spool_path, url)  # fmt: skip
            # What is there now stays: the collector of garbage need not look at it again.
            gc.collect()
            gc.freeze()
            await shipper.greet(_GREETING)
            background = [asyncio.create_task(lag.watch()), asyncio.create_task(shipper.run())]
            await runner.run()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            if not await shipper.drain(config.drain):
                log.warning("%d results wait in the spool for the next start", outbox.counts()["waiting"])
    except OSError as error:
        log.error("cannot listen on %s:%d: %s", *config.listen, error.strerror)
        return FAILED
    finally:
        await transport.close()
    log.info("stopped")
    return PASS
