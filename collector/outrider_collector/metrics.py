"""The collector's own metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from outrider.core.units import SECOND
from outrider.core.wire import BatchAnswer
from outrider_collector.intake import Intake


class _Senders(Collector):
    """Reads what the intake knows of the agents when a scraper asks."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def collect(self) -> Iterator[Metric]:
        seen = GaugeMetricFamily(
            "outrider_agent_last_seen_timestamp_seconds",
            "When an agent's last batch was stored",
            labels=["agent", "region"],
        )
        ledger = GaugeMetricFamily(
            "outrider_runs_ledger", "The agent's totals for its epoch", labels=["agent", "region", "epoch", "term"]
        )
        for sender in list(self._intake.senders.values()):  # the intake's thread may add one meanwhile
            seen.add_metric([sender.agent, sender.region], sender.last_seen / SECOND)
            for term, value in sorted(sender.counts.items()):
                ledger.add_metric([sender.agent, sender.region, sender.epoch, term], value)
        yield seen
        yield ledger
        balance = GaugeMetricFamily(
            "outrider_runs_unaccounted",
            "Scheduled runs without a term in their agent's ledger: those under way; never below 0",
            labels=["agent", "region", "epoch"],
        )
        for sender in list(self._intake.senders.values()):
            balance.add_metric([sender.agent, sender.region, sender.epoch], sender.ways["under_way"])
        yield balance
        yield CounterMetricFamily(
            "outrider_stamps_foreign", "Stamps sent again that were not ours", value=self._intake.foreign_stamps
        )


class CollectorMetrics:
    """Counts what comes in."""

    def __init__(self, intake: Intake) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Senders(intake))
        self._batches = Counter("outrider_batches", "Batches accepted", registry=self.registry)
        self._stored = Counter("outrider_results_stored", "Records stored", registry=self.registry)
        self._duplicates = Counter(
            "outrider_results_duplicate", "Records that were stored before", registry=self.registry
        )

    def took(self, answer: BatchAnswer) -> None:
        self._batches.inc()
        self._stored.inc(answer.stored)
        self._duplicates.inc(answer.duplicates)
