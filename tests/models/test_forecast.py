from __future__ import annotations

import numpy as np
import pytest

from models.forecast import History, slice_history, take_vms


def history_of(end: int, hours: int) -> History:
    mean = np.arange(2 * hours, dtype=np.float32).reshape(2, hours)
    return History(
        end=end,
        mean=mean,
        count=np.full((2, hours), 60, np.uint8),
        interval_min=np.ones(2, np.uint8),
        vcpus=np.array([2, 4], np.float32),
        kind=np.array([0, 1], np.int32),
        host=np.array([-1, 3], np.int32),
        created_at=np.array([0, 600], np.int64),
        timezones=("UTC", "Asia/Shanghai"),
        shape=np.zeros((2, 288), np.int8),
        scale=np.ones(2, np.float32),
    )


def test_a_slice_ends_where_it_was_asked_to_and_keeps_the_vms() -> None:
    history = history_of(end=6000, hours=5)
    cut = slice_history(history, 6000 - 2 * 60)
    assert cut.end == 5880
    np.testing.assert_array_equal(cut.mean, [[0, 1, 2], [5, 6, 7]])
    assert cut.count.shape == (2, 3)
    assert cut.timezones == history.timezones
    np.testing.assert_array_equal(cut.vcpus, history.vcpus)


def test_a_slice_at_the_end_is_the_whole_history() -> None:
    history = history_of(end=6000, hours=5)
    np.testing.assert_array_equal(slice_history(history, 6000).mean, history.mean)


@pytest.mark.parametrize("end", [6060, 5990, 6000 - 5 * 60])
def test_a_slice_outside_the_columns_or_off_the_hour_is_refused(end: int) -> None:
    with pytest.raises(ValueError, match=f"got {end}"):
        slice_history(history_of(end=6000, hours=5), end)


def test_taken_vms_come_in_the_order_asked_and_are_copies() -> None:
    history = history_of(end=6000, hours=5)
    taken = take_vms(history, np.array([1, 0, 1]))
    assert taken.timezones == ("Asia/Shanghai", "UTC", "Asia/Shanghai")
    assert taken.host.tolist() == [3, -1, 3]
    assert taken.created_at.tolist() == [600, 0, 600]
    np.testing.assert_array_equal(taken.mean, history.mean[[1, 0, 1]])
    taken.mean[:] = 0
    assert history.mean[1, 4] == 9
