"""Metrics of what the collector does by itself: calendars that it reads, days that it seals, statements gone stale.

They are read off what was last looked at, so that a scrape costs no question to the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from outrider.core.units import DAY, SECOND
from outrider_collector.calendars.schedule import Followed
from outrider_collector.evidence.sealing import Sealer
from outrider_collector.issued.issuing import Issuer


class HouseMetrics(Collector):
    """Registered with the collector's own metrics. Without a sealer there are none of evidence."""

    def __init__(self, calendars: Sequence[Followed], sealer: Sealer | None, issuer: Issuer) -> None:
        self._calendars, self._sealer, self._issuer = calendars, sealer, issuer

    def collect(self) -> Iterator[Metric]:
        yield from self._of_calendars()
        if self._sealer is not None:
            yield from self._of_evidence(self._sealer)
        stale = GaugeMetricFamily(
            "outrider_statement_stale",
            "1 where facts under a period's newest issued statement have changed since",
            labels=["period"],
        )
        for period, is_stale in sorted(self._issuer.stale.copy().items()):  # a thread may look meanwhile
            stale.add_metric([period], float(is_stale))
        yield stale

    def _of_calendars(self) -> Iterator[Metric]:
        labels = ["calendar"]
        read = GaugeMetricFamily(
            "outrider_calendar_last_read_timestamp_seconds", "When a calendar was last read to its end", labels=labels
        )
        failures = CounterMetricFamily(
            "outrider_calendar_failures", "How often a calendar could not be had or read", labels=labels
        )
        taken = CounterMetricFamily(
            "outrider_calendar_windows_taken", "Versions of windows recorded from a calendar", labels=labels
        )
        for each in self._calendars:
            name = [each.setting.name]
            if each.read_at is not None:
                read.add_metric(name, each.read_at / SECOND)
            failures.add_metric(name, each.failures)
            taken.add_metric(name, each.taken)
        return iter((read, failures, taken))

    @staticmethod
    def _of_evidence(sealer: Sealer) -> Iterator[Metric]:
        last = GaugeMetricFamily(
            "outrider_evidence_last_sealed_day_timestamp_seconds", "Midnight UTC that began the last whole sealed day"
        )
        if sealer.last_day is not None:
            last.add_metric([], sealer.last_day * (DAY // SECOND))
        trouble = GaugeMetricFamily("outrider_evidence_trouble", "1 while the collector cannot seal")
        trouble.add_metric([], float(bool(sealer.trouble)))
        return iter((last, trouble))
