"""The five real traces, with their quirks; skipped, with the reason said, where they are absent."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from models.minutes import DAY_MIN, Span
from stream.traces import read_trace
from tests.stream.fakes import ends

TRACES = Path(os.environ.get("ZHUGE_TRACES", Path(__file__).parents[2] / ".." / "shared" / "data" / "traces"))


def real(name: str) -> Path:
    path = TRACES / f"{name}_5min.parquet"
    if not path.exists():
        pytest.skip(f"REAL TRACE NOT TESTED: no {path}; set ZHUGE_TRACES to the folder that holds it")
    return path


def test_azure_starts_at_minute_0_and_has_no_gap() -> None:
    trace = read_trace(real("azure_v1_avg100"))
    assert (trace.interval_min, len(trace.keys), trace.span) == (5, 100, Span(0, 2_400_900 // 60 + 1))
    assert len(trace.samples(0, trace.span).key) == 800_400


@pytest.mark.parametrize(("month", "rows", "highest"), [("07", 3_818_786, 182.13), ("08", 4_322_258, 114.03)])
def test_bitbrains_keeps_its_jitter_its_hole_and_its_values_over_100(month: str, rows: int, highest: float) -> None:
    trace = read_trace(real(f"bitbrains_rnd_2013-{month}"))
    samples = trace.samples(0, trace.span)
    assert (trace.interval_min, len(trace.keys), len(samples.key)) == (5, 500, rows)
    assert np.all(np.diff(samples.ts_s) >= 0)
    assert samples.value.max() == np.float32(highest)
    some = samples.key < 50
    minute_of_vm = samples.key[some].astype(np.int64) << 32 | samples.ts_s[some] // 60
    assert len(np.unique(minute_of_vm)) < np.count_nonzero(some)  # two rows in one minute
    last_day = datetime.fromtimestamp(trace.span.end * 60, UTC).day
    assert last_day == 30  # both months have 31: the hole at the end stays a hole


def test_nab_series_end_within_the_last_day_and_none_goes_beyond_it() -> None:
    kept = read_trace(real("nab_cloudwatch"), keep_times=True)
    moved = read_trace(real("nab_cloudwatch"))
    assert (moved.interval_min, len(moved.keys)) == (5, 11)
    assert moved.span.end == kept.span.end
    before, after = ends(kept), ends(moved)
    assert min(after.values()) // 60 > moved.span.end - DAY_MIN - 5
    assert {(after[vm_id] - before[vm_id]) % (DAY_MIN * 60) for vm_id in before} == {0}


def test_planetlabs_ten_days_become_one_and_its_ids_keep_their_slashes() -> None:
    trace = read_trace(real("planetlab_2011"), parts=2)
    assert (trace.interval_min, len(trace.keys)) == (5, 11_746)
    assert trace.span == Span(21_720_960, 21_720_960 + DAY_MIN - 4)
    assert all("/" in key.vm_id for key in trace.keys)
    assert sum(len(trace.samples(part, trace.span).key) for part in range(2)) == 3_382_848
    kept = read_trace(real("planetlab_2011"), keep_times=True)
    assert kept.span.end == trace.span.end
    assert kept.span.start < trace.span.start - 40 * DAY_MIN
