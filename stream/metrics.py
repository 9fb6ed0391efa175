"""What Prometheus reads: requests by route and code, their latency, and the state of the fleet at each scrape."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream.stores.judgements import Judgement

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_NO_ROUTE = "(none)"
# Of the newest judged day, by rung: the field of a judgement, the metric, and its help.
_JUDGED = {
    "vm_days": ("zhuge_judged_vm_days", "VMs whose chosen window was judged by its regret."),
    "regret_macro": ("zhuge_judged_regret_macro", "Regret of chosen windows, mean over VMs; 0 best, 1 random."),
    "regret_pooled": ("zhuge_judged_regret_pooled", "Regret of chosen windows, sum over sum; 0 best, 1 random."),
    "interval_coverage": ("zhuge_judged_interval_coverage", "Share of hours at or under their P90; 0.9 is right."),
    "confidence_said": ("zhuge_judged_confidence_said", "Mean confidence of chosen windows, a share."),
    "confidence_observed": ("zhuge_judged_confidence_observed", "Share of chosen windows within their max_load."),
    "mae_pct": ("zhuge_judged_mae_percent", "Mean absolute error of the P50, points of load."),
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Metrics:
    """One app's own registry with its instruments, so that two apps in one process do not meet."""

    registry: CollectorRegistry
    requests: Counter
    latency_s: Histogram
    rungs: Gauge
    reasons: Gauge
    data_age_s: Gauge
    coverage: Gauge
    judged: Mapping[str, Gauge]


def new_metrics() -> Metrics:
    """The instruments, all at zero."""
    registry = CollectorRegistry()
    labels = ("method", "route", "code")
    return Metrics(
        registry,
        Counter("zhuge_requests", "Requests answered.", labels, registry=registry),
        Histogram("zhuge_request_seconds", "Time to answer.", ("route",), registry=registry, buckets=_BUCKETS_S),
        Gauge("zhuge_vms_by_rung", "VMs by the rung that answers for them.", ("rung",), registry=registry),
        Gauge("zhuge_vms_by_reason", "VMs not answered by the champion, by reason.", ("reason",), registry=registry),
        Gauge("zhuge_data_age_seconds", "The fleet's now less the newest data_through.", registry=registry),
        Gauge("zhuge_data_coverage_7d", "Share of expected samples that came, mean over VMs.", registry=registry),
        {field: Gauge(name, text, ("rung",), registry=registry) for field, (name, text) in _JUDGED.items()},
    )


def exposition(metrics: Metrics) -> bytes:
    """The registry in Prometheus' text format."""
    return generate_latest(metrics.registry)


def set_counts(gauge: Gauge, counts: Mapping[str, int]) -> None:
    """Put `counts` by label."""
    for name, count in counts.items():
        gauge.labels(name).set(count)


def set_judged(metrics: Metrics, judgements: Mapping[str, Judgement]) -> None:
    """Put the newest judgements, by rung; what is not known is left out, and so is a rung that nobody had."""
    for field, gauge in metrics.judged.items():
        gauge.clear()
        for rung, judgement in judgements.items():
            value = getattr(judgement, field)
            if value is not None:
                gauge.labels(rung).set(value)


def measured(app: ASGIApp, metrics: Metrics) -> ASGIApp:
    """`app`, each of its requests counted by route template (never by path: an id is not a label)."""

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        code = 500

        async def noting(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        began_s = time.perf_counter()
        try:
            await app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", _NO_ROUTE)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            metrics.requests.labels(method, route, str(code)).inc()
            metrics.latency_s.labels(route).observe(time.perf_counter() - began_s)

    return counting
