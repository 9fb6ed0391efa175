"""The fleet in one look, from its latest forecasts: who answers, why, on which data, and when the next windows are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.forecast import COVERAGE_ONE, HOURS, NO_START, Reason, Rung
from models.minutes import HOUR_MIN, STEP_MIN, Minute, floor_to
from stream.stores.protocols import ForecastRow, Forecasts

HOURS_AHEAD = 25  # 24 hours from any minute on touch so many
_KEEP_S = 1.0
_SHARE_OF_TIME = 10.0  # a summary is kept so many times longer than it took: a large fleet is looked at less often

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


def _ints(size: int) -> Ints:
    return np.zeros(size, dtype=np.int64)


@dataclass(slots=True)
class Summary:
    """What `summarize` adds up over the blocks.

    rungs, reasons: VMs by code. Of the hour from first_hour + 60 i on: windows[i], VMs whose best window starts in it,
    and window_load[i], the sum of their expected loads in percent; fleet[i] and fleet_load[i], the same of all VMs that
    have a forecast. data_through, made_at, model: the newest.
    """

    now: Minute
    first_hour: Minute
    data_through: Minute | None = None
    made_at: Minute | None = None
    model: str | None = None
    coverage: float = 0.0
    rungs: Ints = field(default_factory=lambda: _ints(len(Rung)))
    reasons: Ints = field(default_factory=lambda: _ints(len(Reason)))
    windows: Ints = field(default_factory=lambda: _ints(HOURS_AHEAD))
    window_load: Doubles = field(default_factory=lambda: np.zeros(HOURS_AHEAD))
    fleet: Ints = field(default_factory=lambda: _ints(HOURS_AHEAD))
    fleet_load: Doubles = field(default_factory=lambda: np.zeros(HOURS_AHEAD))

    @property
    def vms(self) -> int:
        """VMs with a record."""
        return int(self.rungs.sum())


def summarize(rows: Iterable[ForecastRow], now: Minute, stale_after_min: int) -> Summary:
    """The summary of these rows at `now`; a forecast on older data than `stale_after_min` is STALE, as for `answer`."""
    total = Summary(now, floor_to(now, HOUR_MIN))
    for row in rows:
        records = row.records[row.records["reason"] != Reason.UNKNOWN]
        if len(records):
            _add_standing(total, row, records, stale_after_min)
            _add_hours(total, row, records[_answers(records, now, stale_after_min)])
    if total.vms:
        total.coverage /= total.vms
    return total


class Summaries:
    """The latest summary, made at most once at a time and kept for a second or so: pages poll, the fleet is large."""

    def __init__(self, forecasts: Forecasts, stale_after_min: int, keep_s: float = _KEEP_S) -> None:
        self._forecasts, self._stale_after_min, self._keep_s = forecasts, stale_after_min, keep_s
        self._lock = threading.Lock()
        self._latest: Summary | None = None
        self._good_until_s = 0.0

    def at(self, now: Minute) -> Summary:
        """A summary as of `now`, or of a moment before."""
        with self._lock:
            began_s = time.monotonic()
            if self._latest is None or began_s >= self._good_until_s:
                self._latest = summarize(self._forecasts.latest(), now, self._stale_after_min)
                ended_s = time.monotonic()
                self._good_until_s = ended_s + max(self._keep_s, _SHARE_OF_TIME * (ended_s - began_s))
            return self._latest


def _answers(records: npt.NDArray[np.void], now: Minute, stale_after_min: int) -> npt.NDArray[np.bool_]:
    fresh = records["data_through"].astype(np.int64) >= now - stale_after_min
    return np.asarray((records["rung"] != Rung.REFUSED) & fresh)


def _add_standing(total: Summary, row: ForecastRow, records: npt.NDArray[np.void], stale_after_min: int) -> None:
    aged = (records["rung"] != Rung.REFUSED) & ~_answers(records, total.now, stale_after_min)
    total.rungs += np.bincount(np.where(aged, Rung.REFUSED, records["rung"]), minlength=len(Rung))
    total.reasons += np.bincount(np.where(aged, Reason.STALE, records["reason"]), minlength=len(Reason))
    total.coverage += float(records["coverage"].sum() / COVERAGE_ONE)
    through = records["data_through"][records["reason"] != Reason.NO_DATA]
    if through.size:
        newest = int(through.max())
        total.data_through = newest if total.data_through is None else max(total.data_through, newest)
    if total.made_at is None or row.made_at > total.made_at:
        total.made_at, total.model = row.made_at, row.model


def _add_hours(total: Summary, row: ForecastRow, records: npt.NDArray[np.void]) -> None:
    first = (total.first_hour - row.first_minute) // HOUR_MIN  # the record's hour that holds now
    hours = np.arange(first, first + HOURS_AHEAD)
    known = (hours >= 0) & (hours < HOURS)
    total.fleet[known] += len(records)
    total.fleet_load[known] += records["mean"][:, hours[known]].sum(axis=0, dtype=np.float64) / 100.0
    best = records["best"].astype(np.int64)
    ahead = (best != NO_START) & (row.first_minute + best * STEP_MIN >= total.now)
    hour = best[ahead] * STEP_MIN // HOUR_MIN
    load = records["mean"][ahead, hour] / 100.0
    place = hour - first
    shown = place < HOURS_AHEAD
    total.windows += np.bincount(place[shown], minlength=HOURS_AHEAD)
    total.window_load += np.bincount(place[shown], weights=load[shown], minlength=HOURS_AHEAD)
