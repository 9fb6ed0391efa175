"""What Prometheus reads of a worker: what the firehose reports at each scrape, and how long its turns take.

A label is a partition, a reason or a topic, of which there are few; an id never is one.
"""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from models.errors import ZhugeError
from models.minutes import Minute
from stream.firehose import FirehoseState
from stream.plumbing import Step

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_TIMES_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_SIZES = (1, 10, 100, 1_000, 3_000, 10_000, 20_000)
# What the firehose counts beside samples by what became of them: the metric it is, and its help.
_ALONE = {
    "messages": ("zhuge_messages", "Messages taken."),
    "reopened": ("zhuge_reopened_spans", "Closed spans that a late sample opened again."),
    "bad_records": ("zhuge_bad_records", "Inventory records that could not be applied."),
    "repeated": ("zhuge_samples_repeated", "Samples of minutes that had one already, among the accepted."),
    "over_100": ("zhuge_samples_over_100", "Samples above 100 percent, among the accepted."),
    "counter_fell": ("zhuge_counter_falls", "Counters that fell: a gap each."),
}
_LETTERS = {
    "dead_messages_": ("zhuge_dead_messages", "Messages that went to the dead letters."),
    "late_messages_": ("zhuge_late_messages", "Messages that went to the late topic."),
}


class IngestMetrics:
    """One ingest worker's registry. `observe` is for the firehose, and may be called from any thread."""

    def __init__(self) -> None:
        self.registry = _registry()
        self._batch = _histogram(self.registry, "zhuge_batch_messages", "Messages a turn.", _SIZES)
        self._take_s = _histogram(self.registry, "zhuge_take_seconds", "To decode, place, close and store a turn.")
        self._tell_s = _histogram(self.registry, "zhuge_tell_seconds", "To send letters, placements and events.")
        self._commit_s = _histogram(self.registry, "zhuge_commit_seconds", "To commit a turn.")
        self._rows = Counter("zhuge_rows", "Block rows stored.", registry=self.registry)
        self._hours = Counter(
            "zhuge_hours", "Hours stored for the first time, a partition each.", registry=self.registry
        )

    def observe(self, step: Step) -> None:
        """One turn of the firehose."""
        self._batch.observe(step.messages)
        self._take_s.observe(step.take_s)
        self._tell_s.observe(step.tell_s)
        self._commit_s.observe(step.commit_s)
        self._rows.inc(step.rows)
        self._hours.inc(step.hours)

    def watch(self, report: Callable[[], FirehoseState], now: Callable[[], Minute]) -> None:
        """From now on each scrape asks the firehose. now(): the fleet's minute; where it fails no age is told."""
        self.registry.register(_Firehose(report, now))


class ForecastMetrics:
    """One forecast worker's registry."""

    def __init__(self) -> None:
        self.registry = _registry()
        self._events = Counter("zhuge_events", "Events.", ("topic", "result"), registry=self.registry)
        self._runs = Counter("zhuge_forecast_runs", "Forecasts of the fleet.", ("result",), registry=self.registry)
        self._run_s = Gauge("zhuge_forecast_run_seconds", "Length of the last one.", registry=self.registry)
        clipped = "Hours that the champion said outside of 0 to 100 percent: mean, P50 and P90 each count."
        self._clipped = Counter("zhuge_forecast_clipped", clipped, registry=self.registry)

    def tally(self, topic: str, result: str) -> None:
        """An event of `topic` was handled, retried or dead_<reason>."""
        self._events.labels(topic, result).inc()

    def ran(self, result: str, seconds: float) -> None:
        """A run has ended: ok or failed."""
        self._runs.labels(result).inc()
        self._run_s.set(seconds)

    def clipped(self, hours: int) -> None:
        """So many hours were cut to 0 or 100 %."""
        self._clipped.inc(hours)


class CountsMetrics:
    """The registry of a worker that keeps counts only."""

    def __init__(self, name: str, documentation: str, counts: Counts[str]) -> None:
        self.registry = _registry()
        self.registry.register(_Counted(name, documentation, counts))


def exposition(registry: CollectorRegistry) -> bytes:
    """The registry in Prometheus' text format."""
    return generate_latest(registry)


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def _histogram(
    registry: CollectorRegistry, name: str, documentation: str, buckets: tuple[float, ...] = _TIMES_S
) -> Histogram:
    return Histogram(name, documentation, registry=registry, buckets=buckets)


class _Firehose(Collector):
    """Asks the firehose at each scrape."""

    def __init__(self, report: Callable[[], FirehoseState], now: Callable[[], Minute]) -> None:
        self._report, self._now = report, now

    def describe(self) -> list[Metric]:
        """Nothing: it is not asked before it runs."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Everything as of now."""
        state = self._report()
        yield from _counters(state.counts)
        yield _by_part("zhuge_lag_messages", "Messages not taken yet.", dict(state.lag))
        yield _by_part("zhuge_watermark_age_seconds", "The fleet's now less the watermark.", self._ages_s(state))
        yield GaugeMetricFamily("zhuge_ring_bytes", "Memory of the minute rings.", state.ring_bytes)
        yield GaugeMetricFamily("zhuge_vms", "VMs known.", state.vms)
        yield CounterMetricFamily("zhuge_rebalances", "Partitions given by the group.", state.rebalances)
        yield GaugeMetricFamily("zhuge_in_trouble", "1 where a store or broker is away.", float(bool(state.trouble)))
        if state.coverage is not None:
            yield GaugeMetricFamily("zhuge_data_coverage", "Share of expected samples, last hour.", state.coverage)
        for name, when_s in (("turn", state.last_turn_s), ("commit", state.last_commit_s)):
            if when_s:
                yield GaugeMetricFamily(f"zhuge_last_{name}_age_seconds", "Since the last one.", time.time() - when_s)

    def _ages_s(self, state: FirehoseState) -> dict[int, float]:
        try:
            now = self._now()
        except ZhugeError:
            return {}
        return {part: (now - mark) * 60.0 for part, mark in state.watermark.items() if mark is not None}


def _counters(counts: Counts[str]) -> Iterator[Metric]:
    samples = CounterMetricFamily("zhuge_samples", "Samples by what became of them.", labels=("result",))
    letters = {prefix: CounterMetricFamily(name, text, labels=("reason",)) for prefix, (name, text) in _LETTERS.items()}
    for what, count in sorted(counts.items()):
        prefix = next((prefix for prefix in letters if what.startswith(prefix)), None)
        if what in _ALONE:
            yield CounterMetricFamily(*_ALONE[what], count)
        elif prefix is not None:
            letters[prefix].add_metric((what.removeprefix(prefix),), count)
        else:
            samples.add_metric((what,), count)
    yield samples
    yield from letters.values()


def _by_part(name: str, documentation: str, values: dict[int, float]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=("partition",))
    for part, value in sorted(values.items()):
        family.add_metric((str(part),), value)
    return family


class _Counted(Collector):
    def __init__(self, name: str, documentation: str, counts: Counts[str]) -> None:
        self._name, self._documentation, self._counts = name, documentation, counts

    def describe(self) -> list[Metric]:
        """Nothing: it is not asked before it runs."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every count as of now."""
        family = CounterMetricFamily(self._name, self._documentation, labels=("what",))
        for what, count in sorted(self._counts.copy().items()):
            family.add_metric((what,), count)
        yield family
