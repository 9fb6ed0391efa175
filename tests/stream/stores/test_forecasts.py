"""What every implementation of `protocols.Forecasts` promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.fleet import SLOTS
from models.forecast import FORECAST_DTYPE
from models.minutes import Span
from stream.stores.open import Stores
from tests.stream.stores.given import first_mean, forecast_row

ALL_TIME = Span(-(10**6), 10**6)


def latest(stores: Stores) -> list[tuple[int, int, int]]:
    return [(row.block, row.first_minute, row.made_at) for row in stores.forecasts.latest()]


def logged(stores: Stores, span: Span = ALL_TIME) -> list[tuple[int, int, str]]:
    return [(row.first_minute, row.block, row.model) for row in stores.forecasts.logged(span)]


def test_a_row_comes_back_byte_for_byte(stores: Stores) -> None:
    row = forecast_row(3, 600, made_at=599, model="set 7 é")
    row.records["scale"] = 0.25
    row.records["quiet"][5, 300] = 255
    row.records["inside"] = -127
    stores.forecasts.put([row], log=True)
    for back in (*stores.forecasts.latest(), *stores.forecasts.logged(ALL_TIME)):
        assert (back.block, back.first_minute, back.made_at, back.model) == (3, 600, 599, "set 7 é")
        assert back.records.dtype == FORECAST_DTYPE
        assert back.records.tobytes() == row.records.tobytes()


def test_get_answers_each_place_in_order_and_none_where_its_block_has_none(stores: Stores) -> None:
    stores.forecasts.put([forecast_row(1, 60, made_at=55, model="a"), forecast_row(2, 120, offset=5000)], log=False)
    answers = stores.forecasts.get([(2, 7), (1, 0), (9, 0), (1, SLOTS - 1), (2, 7)])
    assert answers[2] is None
    assert [first_mean(answers[i]) for i in (0, 1, 3, 4)] == [5007, 0, SLOTS - 1, 5007]
    one = answers[1]
    assert one is not None
    assert (one.first_minute, one.made_at, one.model) == (60, 55, "a")
    assert one.record.dtype == FORECAST_DTYPE
    assert stores.forecasts.get([]) == []


def test_get_gives_the_very_record_of_its_row(stores: Stores) -> None:
    row = forecast_row(0, 0)
    raw = np.random.default_rng(1).integers(0, 256, row.records.nbytes, np.uint8)
    row = replace(row, records=raw.view(FORECAST_DTYPE))
    stores.forecasts.put([row], log=False)
    for slot, one in zip(
        (0, 1, 1234, SLOTS - 1), stores.forecasts.get([(0, s) for s in (0, 1, 1234, 2499)]), strict=True
    ):
        assert one is not None
        assert one.record.tobytes() == row.records[slot].tobytes()


def test_ten_thousand_places_are_answered_at_once(stores: Stores) -> None:
    stores.forecasts.put([forecast_row(block, 0, offset=block) for block in range(4)], log=False)
    places = [(i % 5, i * 7 % SLOTS) for i in range(10_000)]
    answers = stores.forecasts.get(places)
    for (block, slot), one in zip(places, answers, strict=True):
        assert (one is None) if block == 4 else first_mean(one) == slot + block


@pytest.mark.parametrize("slot", [-1, SLOTS])
def test_a_slot_that_cannot_be_is_refused(stores: Stores, slot: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to 2499"):
        stores.forecasts.get([(0, slot)])


def test_a_newer_row_overwrites_the_latest_and_an_older_one_leaves_it(stores: Stores) -> None:
    for first_minute, made_at, expected in (
        (60, 50, (60, 50)),
        (60, 50, (60, 50)),  # repeated
        (60, 40, (60, 50)),  # made earlier
        (0, 90, (60, 50)),  # of an earlier hour
        (60, 70, (60, 70)),
        (120, 10, (120, 10)),
    ):
        stores.forecasts.put([forecast_row(0, first_minute, made_at=made_at, offset=made_at)], log=False)
        assert latest(stores) == [(0, *expected)]
        assert first_mean(stores.forecasts.get([(0, 0)])[0]) == expected[1]


def test_a_row_of_the_same_moment_replaces_the_latest(stores: Stores) -> None:
    for offset in (1, 2):
        stores.forecasts.put([forecast_row(0, 60, made_at=50, offset=offset)], log=False)
    assert first_mean(stores.forecasts.get([(0, 0)])[0]) == 2


def test_the_latest_come_by_block(stores: Stores) -> None:
    stores.forecasts.put([forecast_row(block, 0) for block in (7, 1, 300)], log=False)
    assert [row.block for row in stores.forecasts.latest()] == [1, 7, 300]


def test_only_what_is_to_be_logged_is_logged_also_where_it_is_not_the_latest(stores: Stores) -> None:
    stores.forecasts.put([forecast_row(0, 120)], log=False)
    assert logged(stores) == []
    stores.forecasts.put([forecast_row(0, 60)], log=True)
    assert logged(stores) == [(60, 0, "m")]
    assert latest(stores) == [(0, 120, 0)]


def test_the_log_keeps_each_hour_block_and_model_once(stores: Stores) -> None:
    for made_at, expected in ((5, 5), (5, 5), (3, 5), (9, 9)):
        stores.forecasts.put([forecast_row(0, 60, made_at=made_at, offset=made_at)], log=True)
        (row,) = stores.forecasts.logged(ALL_TIME)
        assert (row.made_at, row.records["mean"][0, 0]) == (expected, expected)
    stores.forecasts.put([forecast_row(0, 60, model="n"), forecast_row(0, 0), forecast_row(1, 60)], log=True)
    assert logged(stores) == [(0, 0, "m"), (60, 0, "m"), (60, 0, "n"), (60, 1, "m")]


def test_the_log_is_read_by_first_minute_and_block_over_a_half_open_span(stores: Stores) -> None:
    stores.forecasts.put([forecast_row(b, m) for m in (120, 0, 60, 180) for b in (2, 1)], log=True)
    assert logged(stores, Span(60, 180)) == [(60, 1, "m"), (60, 2, "m"), (120, 1, "m"), (120, 2, "m")]
    assert logged(stores, Span(60, 60)) == []
    of_blocks = [(row.first_minute, row.block) for row in stores.forecasts.logged(Span(60, 180), [2, 9, 2])]
    assert of_blocks == [(60, 2), (120, 2)]
    assert list(stores.forecasts.logged(Span(60, 180), [])) == []


@pytest.mark.parametrize("records", [np.zeros(SLOTS - 1, FORECAST_DTYPE), np.zeros(SLOTS, np.uint8)])
def test_a_bad_row_in_the_middle_leaves_nothing(
    stores: Stores, records: np.ndarray[tuple[int], np.dtype[np.void]]
) -> None:
    bad = replace(forecast_row(1, 0), records=records)
    with pytest.raises(ValueError, match="expected 2500 of FORECAST_DTYPE"):
        stores.forecasts.put([forecast_row(0, 0), bad, forecast_row(2, 0)], log=True)
    assert latest(stores) == []
    assert logged(stores) == []


def test_the_latest_are_read_while_they_are_written_again(stores: Stores) -> None:
    stores.forecasts.put([forecast_row(block, 0) for block in range(4)], log=True)
    for row in stores.forecasts.latest():
        stores.forecasts.put([replace(row, first_minute=60)], log=True)
    assert latest(stores) == [(block, 60, 0) for block in range(4)]


def test_an_iterator_may_be_left_early(stores: Stores) -> None:
    stores.forecasts.put([forecast_row(block, 0) for block in range(4)], log=True)
    assert next(iter(stores.forecasts.latest())).block == 0
    assert next(iter(stores.forecasts.logged(ALL_TIME))).block == 0
    stores.forecasts.put([forecast_row(0, 60)], log=False)
    assert len(latest(stores)) == 4
