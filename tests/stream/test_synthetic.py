from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import BadInput
from models.fleet import FOREVER
from models.minutes import DAY_MIN, HOUR_MIN, Span, format_iso
from stream.samples import Samples, Trace
from stream.synthetic import DEMO_NOW, LATE_MIN, SyntheticTrace

YESTERDAY = DEMO_NOW // DAY_MIN * DAY_MIN - DAY_MIN


def joined(pieces: list[Samples]) -> Samples:
    return Samples(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))


def as_bytes(samples: Samples) -> tuple[bytes, bytes, bytes]:
    return samples.key.tobytes(), samples.ts_s.tobytes(), samples.value.tobytes()


@pytest.fixture(scope="module")
def trace() -> SyntheticTrace:
    return SyntheticTrace(vms=150, days=3)


def test_now_is_tuesday_noon_and_new_yorks_spring_change_lies_in_the_history() -> None:
    assert format_iso(DEMO_NOW) == "2026-03-10T12:00Z"
    assert datetime.fromtimestamp(DEMO_NOW * 60, UTC).strftime("%A") == "Tuesday"
    zone = ZoneInfo("America/New_York")
    offsets = {datetime.fromtimestamp((DEMO_NOW - day * DAY_MIN) * 60, zone).utcoffset() for day in range(16)}
    assert len(offsets) == 2


def test_the_span_begins_days_before_now_and_never_ends(trace: SyntheticTrace) -> None:
    as_trace: Trace = trace
    assert as_trace.span == Span(DEMO_NOW - 3 * DAY_MIN, FOREVER)
    assert (as_trace.unit, as_trace.interval_min, as_trace.parts) == ("percent", 1, 2)
    later = trace.samples(0, Span(DEMO_NOW + 400 * DAY_MIN, DEMO_NOW + 400 * DAY_MIN + 5))
    assert len(later.key) > 5 * 20
    nothing = trace.samples(0, Span(trace.span.start - DAY_MIN, trace.span.start))
    assert [len(column) for column in nothing] == [0, 0, 0]


@settings(max_examples=25)
@given(
    start=st.integers(-90, 60),
    steps=st.lists(st.integers(0, 200), min_size=1, max_size=8),
    part=st.integers(0, 1),
)
def test_any_split_of_a_span_gives_the_same_bytes(
    trace: SyntheticTrace, start: int, steps: list[int], part: int
) -> None:
    cuts = np.cumsum([YESTERDAY + start, *steps]).tolist()
    whole = trace.samples(part, Span(cuts[0], cuts[-1]))
    assert as_bytes(whole) == as_bytes(joined([trace.samples(part, Span(a, b)) for a, b in pairwise(cuts)]))


def test_the_same_seed_gives_the_same_bytes_whatever_was_asked_before() -> None:
    first, second = SyntheticTrace(vms=60, days=4), SyntheticTrace(vms=60, days=4)
    days = [Span(DEMO_NOW - n * DAY_MIN, DEMO_NOW - (n - 1) * DAY_MIN) for n in range(4, 0, -1)]
    forward = {span: first.samples(0, span) for span in days}
    backward = {span: second.samples(0, span) for span in reversed(days)}
    assert first.keys == second.keys
    assert first.records(0, Span(0, DEMO_NOW)) == second.records(0, Span(0, DEMO_NOW))
    assert all(as_bytes(forward[span]) == as_bytes(backward[span]) for span in days)


def test_another_seed_gives_another_fleet() -> None:
    first, second = SyntheticTrace(vms=60, days=1, seed=1), SyntheticTrace(vms=60, days=1, seed=2)
    assert first.kinds != second.kinds
    assert first.name != second.name


def test_partitions_share_the_fleet_out_and_change_no_sample() -> None:
    span = Span(YESTERDAY + 600, YESTERDAY + 700)
    one, three = SyntheticTrace(vms=300, days=2, parts=1), SyntheticTrace(vms=300, days=2, parts=3)
    pieces = [three.samples(part, span) for part in range(3)]
    assert all(len(piece.key) for piece in pieces)
    assert one.keys == three.keys
    assert sorted(zip(*joined(pieces), strict=True)) == sorted(zip(*one.samples(0, span), strict=True))
    for left, right in pairwise(pieces):
        assert not {three.keys[key].host for key in left.key} & {three.keys[key].host for key in right.key}


def test_some_samples_come_2_to_20_minutes_late_and_some_twice_and_none_is_lost(trace: SyntheticTrace) -> None:
    start, end = YESTERDAY - 6 * HOUR_MIN, YESTERDAY + 12 * HOUR_MIN  # over midnight, where stragglers change days
    seen: dict[tuple[int, int], list[int]] = {}
    for now in range(start, end):
        for part in range(2):
            arrived = trace.samples(part, Span(now, now + 1))
            for key, ts_s in zip(arrived.key.tolist(), arrived.ts_s.tolist(), strict=True):
                seen.setdefault((key, ts_s // 60), []).append(now - ts_s // 60)
    delays = {tuple(delays) for (_, minute), delays in seen.items() if start <= minute < end - LATE_MIN[1]}
    assert all(late == 0 or LATE_MIN[0] <= late <= LATE_MIN[1] for pair in delays for late in pair)
    assert {len(pair) for pair in delays} == {1, 2}
    assert any(pair[0] > 0 for pair in delays if len(pair) == 1)
    assert all(pair[0] == 0 for pair in delays if len(pair) == 2)
    idle = [key for key, who in enumerate(trace.keys) if trace.kinds[who.vm_id] == "idle"]
    assert all((key, minute) in seen for key in idle for minute in range(start, end - LATE_MIN[1]))


def test_what_is_late_at_midnight_arrives_the_next_day() -> None:
    trace = SyntheticTrace(vms=2000, days=3, parts=1)
    midnight = YESTERDAY
    before, after = (trace.samples(0, Span(midnight + at, midnight + at + 25)) for at in (-25, 0))
    assert np.any(before.ts_s < (midnight - 25) * 60)
    assert np.any(after.ts_s < midnight * 60)
    minute, key = np.concatenate([before.ts_s, after.ts_s]) // 60, np.concatenate([before.key, after.key])
    steady = [key for key, who in enumerate(trace.keys) if trace.kinds[who.vm_id] in ("diurnal", "weekly", "idle")]
    seen_there = np.zeros((25, len(trace.keys)), dtype=bool)
    there = (minute >= midnight - 25) & (minute < midnight)
    seen_there[minute[there] - midnight + 25, key[there]] = True
    assert np.all(seen_there[:, steady])


def test_a_host_reports_at_its_own_second_and_in_order_of_arrival(trace: SyntheticTrace) -> None:
    samples = trace.samples(1, Span(YESTERDAY, YESTERDAY + 60))
    seconds: dict[str, set[int]] = {}
    for key, ts_s in zip(samples.key, samples.ts_s, strict=True):
        seconds.setdefault(trace.keys[key].host, set()).add(int(ts_s) % 60)
    assert all(len(found) == 1 for found in seconds.values())
    assert [np.asarray(column).dtype.name for column in samples] == ["int32", "int64", "float32"]
    assert not np.any(np.isnan(samples.value))


def test_an_idle_vm_reports_zeros_as_samples(trace: SyntheticTrace) -> None:
    samples = joined([trace.samples(part, Span(YESTERDAY, YESTERDAY + 60)) for part in range(2)])
    idle = np.array([trace.kinds[who.vm_id] == "idle" for who in trace.keys])
    values = samples.value[idle[samples.key]]
    assert len(values) >= 60 * idle.sum() - 5
    assert np.all(values == 0.0)


def test_keys_report_only_within_their_stay() -> None:
    trace = SyntheticTrace(vms=300, days=12, parts=1)
    samples = trace.samples(0, Span(trace.span.start, DEMO_NOW))
    minute = samples.ts_s // 60
    by_vm: dict[str, list[np.ndarray[tuple[int], np.dtype[np.int64]]]] = {}
    for key, who in enumerate(trace.keys):
        by_vm.setdefault(who.vm_id, []).append(minute[samples.key == key])
    for vm_id, stays in by_vm.items():
        kind = trace.kinds[vm_id]
        assert len(stays) == (2 if kind in ("moved", "reused") else 1)
        if kind == "moved":
            assert 0 < stays[1].min() - stays[0].max() <= 2
        if kind == "reused":
            assert stays[1].min() - stays[0].max() > 7 * DAY_MIN
        if kind == "stale":
            assert DEMO_NOW - stays[0].max() >= 24 * HOUR_MIN
        if kind == "newborn":
            assert DEMO_NOW - stays[0].min() <= 60 * HOUR_MIN


@given(cuts=st.lists(st.integers(0, 3 * DAY_MIN), max_size=5))
def test_each_record_arrives_once_in_whatever_pieces_and_at_its_hosts_partition(
    trace: SyntheticTrace, cuts: list[int]
) -> None:
    start = trace.span.start
    edges = sorted([start, DEMO_NOW, *(start + cut for cut in cuts)])
    for part in range(2):
        hosts = {trace.keys[key].host for key in trace.samples(part, Span(DEMO_NOW - 5, DEMO_NOW)).key}
        whole = trace.records(part, Span(start, DEMO_NOW))
        assert whole == tuple(r for a, b in pairwise(edges) for r in trace.records(part, Span(a, b)))
        assert {record.host for record in whole} <= hosts


@pytest.mark.parametrize(
    ("name", "number"), [("vms", 0), ("vms", 100_001), ("days", 0), ("days", 367), ("seed", -1), ("parts", 0)]
)
def test_a_number_out_of_range_is_refused_by_name(name: str, number: int) -> None:
    with pytest.raises(BadInput, match=f"synthetic fleet, {name}: expected a whole number from .* got {number:,}"):
        SyntheticTrace(**{name: number})


@pytest.mark.slow
def test_at_least_1600_of_2000_vms_have_14_days_of_decent_history() -> None:
    trace = SyntheticTrace()
    number = {vm_id: index for index, vm_id in enumerate(trace.kinds)}
    vm = np.array([number[who.vm_id] for who in trace.keys])
    decent = np.zeros(2000, dtype=int)
    for hour in range(DEMO_NOW - 14 * DAY_MIN, DEMO_NOW, HOUR_MIN):
        samples = [trace.samples(part, Span(hour, hour + HOUR_MIN)) for part in range(2)]
        decent += np.bincount(vm[joined(samples).key], minlength=2000) >= 30
    assert np.sum(decent >= 0.9 * 14 * 24) >= 1600
