"""What a worker shows of itself: /healthz that a platform can restart by, /metrics without a VM's name in them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from models.errors import StoreError
from models.minutes import parse_iso
from stream.firehose import FirehoseState
from stream.plumbing import Step
from stream.worker_http import Health, Shown, ingest_health, receiver_app, status_of, worker_app
from stream.worker_metrics import CountsMetrics, ForecastMetrics, IngestMetrics, exposition

NOON = parse_iso("2026-03-10T12:00Z")
COUNTS = Counter(
    messages=7, accepted=100, superseded=2, late=3, over_100=1, reopened=4, dead_messages_json=5, late_messages_late=1
)
STATE = FirehoseState(COUNTS, {0: 10, 1: 0}, {0: NOON, 1: None}, True, 2, 4096, 50, 0.75, 1000.0, 990.0, "")
AWAY = StoreError("store", expected="a lock", got="none", remedy="Wait.")


def get(app: ASGIApp, path: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://worker") as client:
            return await client.get(path)

    return asyncio.run(asked())


def values(text: str) -> dict[str, float]:
    """Every sample of the exposition by its name and labels."""
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def refused() -> Any:  # noqa: ANN401 (it gives nothing)
    raise AWAY


@pytest.mark.parametrize(
    ("trouble", "quiet_s", "status"),
    [("", 59, "ok"), ("", 61, "stalled"), ("away", 1, "waiting"), ("away", 61, "stalled")],
)
def test_a_worker_is_well_while_it_goes_round_and_everything_is_there(
    trouble: str, quiet_s: float, status: str
) -> None:
    assert status_of(trouble, quiet_s, 60)[0] == status
    assert trouble in status_of(trouble, quiet_s, 60)[1]


@pytest.mark.parametrize(("status", "code"), [("ok", 200), ("waiting", 503), ("stalled", 503)])
def test_only_one_that_is_well_gets_200(status: str, code: int) -> None:
    answer = get(worker_app(lambda: Health(status, "why", {"partitions": {}}), lambda: b""), "/healthz")
    assert answer.status_code == code
    assert answer.json() == {"status": status, "detail": "why", "partitions": {}}


def test_a_store_that_health_itself_needs_is_told_of() -> None:
    answer = get(worker_app(refused, lambda: b""), "/healthz")
    assert (answer.status_code, answer.json()["detail"]) == (503, str(AWAY))


def test_before_the_brokers_answered_it_says_what_it_waits_for() -> None:
    shown = Shown()
    assert get(worker_app(shown.health, lambda: b""), "/healthz").json()["status"] == "waiting"
    shown.ask = lambda: Health("ok", "", {})
    assert get(worker_app(shown.health, lambda: b""), "/healthz").status_code == 200


def test_health_of_an_ingest_worker_has_each_partition() -> None:
    health = ingest_health(STATE, NOON + 7, quiet_s=1, stalled_after_s=60, wall_s=1005.0)
    assert health.status == "ok"
    assert json.loads(json.dumps(health.facts)) == {
        "behind": True,
        "last_commit_age_s": 15.0,
        "partitions": {
            "0": {"watermark": "2026-03-10T12:00Z", "watermark_age_s": 420, "lag": 10},
            "1": {"watermark": None, "watermark_age_s": None, "lag": 0},
        },
    }


def test_metrics_of_an_ingest_worker() -> None:
    metrics = IngestMetrics()
    metrics.watch(lambda: STATE, lambda: NOON + 2)
    metrics.observe(Step(messages=500, rows=3, hours=1, take_s=0.02, tell_s=0.001, commit_s=2.0))
    metrics.observe(Step(messages=1, rows=0, hours=0, take_s=0.02, tell_s=0.001, commit_s=0.0))
    answer = get(worker_app(lambda: Health("ok", "", {}), lambda: exposition(metrics.registry)), "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = values(answer.text)
    expected = {
        "zhuge_messages_total": 7,
        'zhuge_samples_total{result="accepted"}': 100,
        'zhuge_samples_total{result="superseded"}': 2,
        'zhuge_samples_total{result="late"}': 3,
        "zhuge_samples_over_100_total": 1,
        "zhuge_reopened_spans_total": 4,
        'zhuge_dead_messages_total{reason="json"}': 5,
        'zhuge_late_messages_total{reason="late"}': 1,
        'zhuge_lag_messages{partition="0"}': 10,
        'zhuge_lag_messages{partition="1"}': 0,
        'zhuge_watermark_age_seconds{partition="0"}': 120,
        "zhuge_data_coverage": 0.75,
        "zhuge_rebalances_total": 2,
        "zhuge_ring_bytes": 4096,
        "zhuge_vms": 50,
        "zhuge_in_trouble": 0,
        "zhuge_batch_messages_sum": 501,
        "zhuge_take_seconds_count": 2,
        "zhuge_commit_seconds_sum": 2,
        "zhuge_rows_total": 3,
        "zhuge_hours_total": 1,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert 'zhuge_watermark_age_seconds{partition="1"}' not in found
    assert found["zhuge_last_commit_age_seconds"] - found["zhuge_last_turn_age_seconds"] == pytest.approx(10, abs=1)


def test_what_is_not_known_yet_is_not_told() -> None:
    metrics = IngestMetrics()
    metrics.watch(lambda: FirehoseState(Counter(), {}, {0: NOON}, True, 0, 0, 0, None, 0.0, 0.0, "away"), refused)
    found = values(exposition(metrics.registry).decode())
    assert found["zhuge_in_trouble"] == 1
    for name in ("data_coverage", "last_turn_age_seconds", 'watermark_age_seconds{partition="0"}'):
        assert f"zhuge_{name}" not in found


def test_metrics_of_a_forecast_worker() -> None:
    metrics = ForecastMetrics()
    for result in ("handled", "retried", "handled", "dead_failed"):
        metrics.tally("hours", result)
    metrics.ran("ok", 4.0)
    metrics.ran("failed", 2.5)
    metrics.clipped(3)
    metrics.clipped(0)
    found = values(exposition(metrics.registry).decode())
    assert found['zhuge_events_total{result="handled",topic="hours"}'] == 2
    assert found['zhuge_events_total{result="dead_failed",topic="hours"}'] == 1
    assert found['zhuge_forecast_runs_total{result="ok"}'] == 1
    assert found["zhuge_forecast_run_seconds"] == 2.5
    assert found["zhuge_forecast_clipped_total"] == 3
    assert found["process_cpu_seconds_total"] > 0


def test_the_receiver_shows_its_counts_and_stops_with_its_server() -> None:
    counts = Counter(samples=3, status_204=1)
    metrics = CountsMetrics("zhuge_received", "By what became of them.", counts)
    stopped: list[bool] = []

    async def stop() -> None:
        stopped.append(True)

    app = receiver_app(PlainTextResponse("inner"), lambda: exposition(metrics.registry), stop)
    assert get(app, "/api/v1/write").text == "inner"
    assert values(get(app, "/metrics").text)['zhuge_received_total{what="samples"}'] == 3

    async def lived() -> None:
        async with app.router.lifespan_context(app):
            assert stopped == []

    asyncio.run(lived())
    assert stopped == [True]
