"""What the agent says of itself over HTTP: /metrics, /-/healthy, /-/ready, /config; and POST /-/reload.

Where the blackbox exporter has a metric of the same meaning, its name is used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from outrider.check_sets import REASONS
from outrider.core.outcome import STANDINGS, OutcomeClass, Standing
from outrider.core.units import SECOND
from outrider.core.wire import Phases
from outrider.purse import Withheld
from outrider.references import References
from outrider.reloading import Configured, Reloaded
from outrider.runner import Ended
from outrider.shipper import Shipper
from outrider.spool import Outbox
from outrider.transport.gate import POLICY_PLACE

_LABELS = ("check", "region", "agent")
# Edges lie on the limits that guarantees name (10 s of the network's agreement, 20 s of CAQH CORE).
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10, 15, 20, 30)


class _Spool(Collector):
    """Reads the spool's totals when a scraper asks."""

    def __init__(self, outbox: Outbox, shipper: Shipper, labels: dict[str, str]) -> None:
        self._clock = shipper.clock
        self._outbox = outbox
        self._shipper = shipper
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        counts = self._outbox.counts()
        yield self._gauge("outrider_spool_records", "Records that wait for the collector", counts["waiting"])
        ledger = GaugeMetricFamily(
            "outrider_runs_ledger",
            "This epoch's totals: scheduled = skipped + lost_in_flight + delivered + waiting + dropped + dead_lettered",
            labels=["agent", "region", "epoch", "term"],
        )
        for term, value in sorted(counts.items()):
            ledger.add_metric([self._outbox.agent, self._labels["region"], self._outbox.epoch, term], value)
        yield ledger
        dropped = GaugeMetricFamily(
            "outrider_spool_dropped_total", "Records dropped", labels=["agent", "region", "reason"]
        )
        for reason in ("quota", "unwritable", "corrupt"):
            dropped.add_metric([self._outbox.agent, self._labels["region"], reason], counts.get(f"dropped_{reason}", 0))
        yield dropped
        yield self._gauge("outrider_shipper_trouble", "Whether the last exchange failed", bool(self._shipper.trouble))
        if self._shipper.last_answer_at is not None:
            since = (self._clock.monotonic() - self._shipper.last_answer_at) / SECOND
            yield self._gauge("outrider_last_acknowledgement_seconds", "Since the collector last acknowledged", since)
        if (found := self._shipper.collector_clock.read().offset) is not None:
            yield self._gauge("outrider_clock_offset_seconds", "Collector's clock minus ours", found.offset / SECOND)
            told = "Half width of the offset's error bar"
            yield self._gauge("outrider_clock_error_seconds", told, found.error / SECOND)

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, text, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), value)
        return family


class _References(Collector):
    """What the last look at the reference targets reached."""

    def __init__(self, references: References, labels: dict[str, str]) -> None:
        self._references = references
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "outrider_reference_reached",
            "Whether the last look at a reference target reached it",
            labels=[*self._labels, "reference"],
        )
        if (reached := self._references.reached) is not None:
            for name in self._references.names:
                family.add_metric([*self._labels.values(), name], name in reached)
        yield family


class _Reloads(Collector):
    """How the last reload went; the names are Prometheus's own, under our prefix."""

    def __init__(self, configured: Configured, labels: dict[str, str]) -> None:
        self._configured = configured
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        for name, text, value in (
            ("successful", "Whether the last reload succeeded", float(self._configured.is_sound)),
            ("success_timestamp_seconds", "When the configuration in force was read", self._configured.since / SECOND),
        ):
            family = GaugeMetricFamily(f"outrider_config_last_reload_{name}", text, labels=list(self._labels))
            family.add_metric(list(self._labels.values()), value)
            yield family


class _Trust(Collector):
    """Which checks take any certificate, by the configuration in force."""

    def __init__(self, configured: Configured, labels: dict[str, str]) -> None:
        self._configured = configured
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "outrider_tls_unverified", "Whether any certificate is taken (verify_tls: false)", labels=_LABELS
        )
        for check in self._configured.config.checks:
            family.add_metric([check.name, *self._labels.values()], not check.target.verify_tls)
        yield family


class _CheckSets(Collector):
    """Which set of checks is in force, and how often one was refused."""

    def __init__(self, configured: Configured, labels: dict[str, str]) -> None:
        self._configured = configured
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        if self._configured.own.granted is None:
            return
        version = GaugeMetricFamily(
            "outrider_check_set_version", "The check set in force; 0 is none", labels=list(self._labels)
        )
        version.add_metric(list(self._labels.values()), self._configured.sets.version)
        yield version
        refused = CounterMetricFamily(
            "outrider_check_set_refused", "Check sets that were refused, by reason", labels=[*self._labels, "reason"]
        )
        for reason in REASONS:
            refused.add_metric([*self._labels.values(), reason], self._configured.sets.refusals[reason])
        yield refused


class AgentMetrics:
    """The agent's metrics; `observe` and `missed` are the runner's hooks."""

    def __init__(self, outbox: Outbox, shipper: Shipper, region: str) -> None:
        self._where = {"region": region, "agent": outbox.agent}
        self.registry = CollectorRegistry()
        self.registry.register(_Spool(outbox, shipper, {"agent": outbox.agent, "region": region}))

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, (*_LABELS, *labels), registry=self.registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, (*_LABELS, *labels), registry=self.registry)

        self._success = gauge("probe_success", "Whether the last run was good (1) or not (0)")
        self._duration = gauge("probe_duration_seconds", "How long the last run took")
        self._phases = gauge("probe_http_duration_seconds", "The last run's time by phase", "phase")
        self._attempts = counter("probe_attempts", "Runs")
        self._failures = counter("probe_failures", "Runs that were not ok, by outcome class", "class")
        self._all = Histogram(
            "probe_all_duration_seconds", "All runs' durations", _LABELS, buckets=_SECONDS, registry=self.registry
        )
        self._slots = counter("outrider_slots_missed", "Slots of the timetable without a run")
        self._held_back = counter("outrider_payments_withheld", "Slots whose run would have paid, by reason", "reason")
        self._lateness = gauge("outrider_schedule_lateness_seconds", "How late the last run began")
        self._refusals = counter("outrider_policy_refusals", "Runs stopped by the target policy, by rule", "rule")
        self._unconfirmed = counter("outrider_cleanup_unconfirmed", "Runs whose cleanup could not be confirmed")

    def follow(self, configured: Configured) -> None:
        """Tell of its reloads, its reference targets, its check sets, and of whose certificate it does not ask."""
        self.registry.register(_References(configured.references, self._where))
        self.registry.register(_Reloads(configured, self._where))
        self.registry.register(_Trust(configured, self._where))
        self.registry.register(_CheckSets(configured, self._where))

    def observe(self, ended: Ended) -> None:
        record = ended.record
        labels = {"check": record.check, **self._where}
        if record.cleanup == "unconfirmed":
            self._unconfirmed.labels(**labels).inc()
        if record.purpose != "probe":
            return
        outcome = OutcomeClass(record.outcome)
        self._success.labels(**labels).set(STANDINGS[outcome] is Standing.GOOD)
        self._duration.labels(**labels).set(record.latency / SECOND)
        for phase, duration in _as_blackbox(record.phases):
            self._phases.labels(**labels, phase=phase).set(duration / SECOND)
        self._attempts.labels(**labels).inc()
        self._all.labels(**labels).observe(record.latency / SECOND)
        self._lateness.labels(**labels).set(ended.lateness / SECOND)
        if record.place == POLICY_PLACE:
            self._refusals.labels(**labels, rule=record.code).inc()
        if outcome is not OutcomeClass.OK:
            self._failures.labels(**labels, **{"class": outcome.value}).inc()

    def withheld(self, check: str, why: Withheld) -> None:
        self._held_back.labels(check=check, **self._where, reason=why.reason).inc()

    def missed(self, check: str, slots: int) -> None:
        self._slots.labels(check=check, **self._where).inc(slots)


def _as_blackbox(phases: Phases) -> tuple[tuple[str, int], ...]:
    """Our phases under the blackbox exporter's names; processing is from the request's end to the first byte."""
    return (
        ("resolve", phases.resolve),
        ("connect", phases.connect),
        ("tls", phases.tls),
        ("processing", phases.send + phases.wait),
        ("transfer", phases.receive),
    )


@dataclass(frozen=True, slots=True)
class Readiness:
    """Ready is: the spool takes records and every check has its timetable. `why_not` is "" when it is."""

    why_not: Callable[[], str]


def build_app(
    metrics: AgentMetrics,
    readiness: Readiness,
    reload: Callable[[], Awaitable[Reloaded]],
    shown: Callable[[], bytes],
) -> web.Application:
    """The agent's pages; `reload` reads its file again, `shown` is that file for people."""

    async def show_metrics(_: web.Request) -> web.Response:
        body = generate_latest(metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="healthy\n")

    async def ready(_: web.Request) -> web.Response:
        why_not = readiness.why_not()
        return web.Response(status=503 if why_not else 200, text=f"{why_not or 'ready'}\n")

    async def read_again(_: web.Request) -> web.Response:
        reloaded = await reload()
        return web.Response(status=200 if reloaded.is_in_force else 422, text=f"{reloaded.told}\n")

    async def show_config(_: web.Request) -> web.Response:
        return web.Response(body=shown(), content_type="application/json")

    app = web.Application()
    app.router.add_post("/-/reload", read_again)
    app.router.add_get("/config", show_config)
    app.router.add_get("/metrics", show_metrics)
    app.router.add_get("/-/healthy", healthy)
    app.router.add_get("/-/ready", ready)
    return app
