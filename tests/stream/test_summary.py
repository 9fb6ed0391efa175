from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from models.fleet import SLOTS
from models.forecast import FORECAST_DTYPE, NO_START, Reason, Rung
from models.minutes import HOUR_MIN, Minute, Span
from stream.stores.protocols import ForecastRow, OneForecast
from stream.summary import Summaries, summarize

FIRST = 100 * HOUR_MIN
STALE_AFTER = 180


def row(block: int = 0, made_at: Minute = FIRST + 4, model: str = "set-1") -> ForecastRow:
    records = np.zeros(SLOTS, dtype=FORECAST_DTYPE)
    records["reason"], records["best"] = Reason.UNKNOWN, NO_START
    return ForecastRow(block, FIRST, made_at, model, records)


def put(row: ForecastRow, slot: int, load_pct: float, best: int, through: Minute = FIRST) -> None:
    record = row.records[slot : slot + 1]
    record["reason"], record["rung"], record["best"], record["data_through"] = 0, Rung.CHAMPION, best, through
    record["mean"], record["coverage"] = 100 * load_pct, 100


class Kept:
    """Forecasts that count how often they are read."""

    def __init__(self, rows: list[ForecastRow]) -> None:
        self.rows, self.reads = rows, 0

    def latest(self) -> Iterator[ForecastRow]:
        self.reads += 1
        return iter(self.rows)

    def put(self, rows: Sequence[ForecastRow], *, log: bool) -> None:
        raise NotImplementedError

    def get(self, places: Sequence[tuple[int, int]]) -> list[OneForecast | None]:
        raise NotImplementedError

    def logged(self, span: Span, blocks: Sequence[int] | None = None) -> Iterator[ForecastRow]:
        raise NotImplementedError


def test_windows_and_loads_add_up_over_blocks() -> None:
    one, two = row(0), row(1, made_at=FIRST + 9, model="set-2")
    put(one, 0, 10.0, best=12)  # hour 1
    put(one, 5, 30.0, best=23)  # hour 1
    put(two, 0, 50.0, best=300)  # hour 25: beyond the last that is shown
    total = summarize([one, two], FIRST + 7, STALE_AFTER)
    assert (total.vms, total.made_at, total.model, total.coverage) == (3, FIRST + 9, "set-2", 0.5)
    assert total.windows.tolist() == [0, 2, *[0] * 23]
    assert (total.window_load[1], total.fleet[1], total.fleet_load[1]) == (40.0, 3, 90.0)


def test_a_record_that_ends_earlier_counts_only_where_it_reaches() -> None:
    one = row()
    put(one, 0, 10.0, best=200, through=FIRST + 170)
    total = summarize([one], FIRST + 170, STALE_AFTER)  # the third hour of the record is the first shown
    assert total.fleet.tolist() == [1] * 24 + [0]
    assert total.windows[200 // 12 - 2] == 1


def test_old_data_refuse_with_a_reason_at_just_the_minute_that_an_answer_does() -> None:
    one = row()
    put(one, 0, 10.0, best=100)
    fresh = summarize([one], FIRST + STALE_AFTER, STALE_AFTER)
    stale = summarize([one], FIRST + STALE_AFTER + 1, STALE_AFTER)
    assert (fresh.rungs[Rung.CHAMPION], fresh.reasons[Reason.STALE]) == (1, 0)
    assert (stale.rungs[Rung.REFUSED], stale.reasons[Reason.STALE]) == (1, 1)
    assert stale.windows.sum() == stale.fleet.sum() == 0


def test_data_through_is_the_newest_and_none_where_nothing_came() -> None:
    one = row()
    put(one, 0, 10.0, best=5, through=FIRST - 60)
    put(one, 1, 10.0, best=5, through=FIRST)
    put(one, 2, 10.0, best=NO_START, through=FIRST + 999)
    one.records["rung"][2], one.records["reason"][2] = Rung.REFUSED, Reason.NO_DATA
    assert summarize([one], FIRST, STALE_AFTER).data_through == FIRST
    assert summarize([row()], FIRST, STALE_AFTER).data_through is None


@pytest.mark.parametrize(("keep_s", "reads"), [(60.0, 1), (0.0, 3)])
def test_a_summary_is_kept_for_a_while(keep_s: float, reads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.summary.time.monotonic", lambda: 5.0)  # reading takes no time then
    kept = Kept([row()])
    summaries = Summaries(kept, STALE_AFTER, keep_s)
    for _ in range(3):
        summaries.at(FIRST)
    assert kept.reads == reads
