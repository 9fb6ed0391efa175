"""Promises held against what came: bounds by class, a VM's share, confidence in bins, by hand."""

from __future__ import annotations

import numpy as np

from batch.reliability import BINS, LEADS, MAX_LOADS, Kept, Sure, bins_of, bounds_of, kept_of, sure_of
from batch.rolling import asked_at, served
from models.baseline import HourOfDay
from models.calibration import DEFAULT, LENGTHS_MIN
from models.conformal import LEVELS
from models.forecast import FORECAST_DTYPE, HOURS, Rung
from tests.batch.given import hourly_fleet
from tests.models.given import END

ORIGIN = END - HOURS * 60
NAN = np.nan


def test_hours_on_the_bound_are_kept_and_gaps_and_the_refused_are_not_known() -> None:
    hours = np.full((2, 200), 5.0, np.float32)
    hours[0, -26:-23] = (2.0, 3.0, NAN)
    question = asked_at(hourly_fleet(hours), ORIGIN)
    records = np.zeros(2, FORECAST_DTYPE)
    records["rung"] = [Rung.CHAMPION, Rung.REFUSED]
    records["p50"], records["p90"] = 100, 300
    kept = kept_of(question, records)
    np.testing.assert_array_equal(kept.p50[0, :4], [0, 0, NAN, 0])
    np.testing.assert_array_equal(kept.p90[0, :4], [1, 1, NAN, 0])
    assert np.isnan(kept.p90[1]).all()
    assert kept.cells[0, [0, 3, 9]].tolist() == [2, LEVELS + 2, 2 * LEVELS + 2]  # 3 to 10 %, by lead


def test_bounds_by_class_and_of_the_worst_tenth_of_vms() -> None:
    p90 = np.ones((11, 24))
    p90[0, :12] = 0
    p90[1] = NAN
    cells = np.zeros((11, 24), np.int64)
    cells[2:] = LEVELS * LEADS - 1
    found = bounds_of([Kept(p90 * 0, p90, cells)])
    assert found.overall.tolist() == [0.0, 228 / 240]
    assert found.cells[1, 0, 0] == 0.5
    assert found.cells[1, -1, -1] == 1.0
    assert np.isnan(found.cells[1, 0, 1])
    assert found.hours.sum() == 240
    assert found.vm_p10 == np.quantile([0.5, *[1.0] * 9], 0.1)


def test_confidence_in_bins_and_its_two_errors() -> None:
    said = np.repeat([0.05, 0.95, 1.0], [40, 30, 30])
    kept = np.repeat([0.0, 1.0, 1.0, 0.0], [40, 30, 15, 15])
    found = bins_of([Sure(said[:50], kept[:50]), Sure(said[50:], kept[50:])])
    assert found.windows.tolist() == [40, *[0] * (BINS - 2), 60]
    assert found.kept[-1] == 0.75
    np.testing.assert_allclose(found.error, (0.05 + (0.975 - 0.75)) / 2)
    np.testing.assert_allclose(found.weighted, 0.4 * 0.05 + 0.6 * 0.225)
    assert np.isnan(found.said[5])


def test_bins_of_few_windows_and_no_window_at_all_say_nothing() -> None:
    for sure in (Sure(np.full(29, 0.5), np.ones(29)), Sure(np.empty(0), np.empty(0))):
        assert np.isnan(bins_of([sure]).error)
        assert np.isnan(bins_of([sure]).weighted)


def test_each_length_of_window_is_asked_with_each_max_load() -> None:
    hours = np.tile(np.arange(24, dtype=np.float32), 10)[None] + np.array([[0.0], [30.0]], np.float32)
    question = asked_at(hourly_fleet(hours), END - 24 * 2 * 60)
    sure = sure_of(question, served(question.history, [HourOfDay()]), DEFAULT)
    assert len(sure.said) == 2 * len(LENGTHS_MIN) * len(MAX_LOADS)
    assert sure.kept.all()  # the quietest hour comes again, far under the median
    assert sure.said.min() > 0.9


def test_a_vm_with_a_gap_in_its_window_is_left_out() -> None:
    hours = np.tile(np.arange(24, dtype=np.float32), 10)[None].copy()
    hours[0, -48:] = NAN
    question = asked_at(hourly_fleet(hours), END - 24 * 2 * 60)
    assert len(sure_of(question, served(question.history, [HourOfDay()]), DEFAULT).said) == 0
