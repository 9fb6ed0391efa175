"""What the load does inside its hours: an exponentially weighted mean, drawn to the kind where little is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.forecast import SHAPE_ONE, History
from models.inside import PRIOR_HOURS, inside_hours, packed, profile_of, updated
from tests.models.given import END, Floats, history_of

NAN = np.nan
SPIKE = np.array([44, *[-4] * 11], dtype=np.float32)  # the first five minutes of an hour, over its mean


def with_profile(distance: Floats, hours: int = 336, kind: tuple[int, ...] = ()) -> History:
    """VMs with as many known hours, all of whose day has this inside: float32[n, 12]."""
    n = len(distance)
    mean = np.full((n, 336), NAN)
    mean[:, 336 - hours :] = 20.0
    shape, scale = packed(distance.T.copy())
    return replace(
        history_of(mean, kind=kind), shape=np.tile(shape, (24, 1)).T.copy(), scale=np.repeat(scale[:, None], 24, axis=1)
    )


def test_one_hour_counts_for_alpha_and_a_gap_for_nothing() -> None:
    before = np.zeros((12, 2), np.float32)
    steps = np.stack([SPIKE + 10, np.full(12, NAN, np.float32)], axis=1)
    after = updated(before, steps, np.array([10.0, NAN], np.float32), 0.25)
    assert after[:, 0] == pytest.approx(SPIKE / 4)
    assert after[:, 1].tolist() == [0.0] * 12


def test_a_profile_is_packed_in_127ths_of_its_scale() -> None:
    shape, scale = packed(np.stack([SPIKE, np.zeros(12, np.float32)], axis=1))
    assert scale.tolist() == [44.0, 0.0]
    assert shape[:, 0].tolist() == [127, *[round(-4 / 44 * 127)] * 11]
    assert shape[:, 1].tolist() == [0] * 12


def test_the_profile_of_days_is_the_one_that_the_stream_keeps() -> None:
    """Three days from 05:00 on, with a spike in each hour but that of 07:00, and a gap on the second day."""
    steps = np.tile(SPIKE + 10, (1, 72)).reshape(1, 72, 12)
    steps[0, 2::24] = 10.0
    steps[0, 24 + 4] = NAN
    end = END + 5 * 60
    shape, scale = profile_of(steps.reshape(1, -1), end, 0.25)
    assert shape.shape == (1, 288)
    assert scale.shape == (1, 24)
    full = 44 * (1 - 0.75**3)
    assert scale[0, 5] == pytest.approx(full, rel=1e-5)
    assert scale[0, 7] == 0.0
    assert scale[0, 9] == pytest.approx(44 * (1 - 0.75**2), rel=1e-5)  # the gap's hour
    assert shape[0, 5 * 12] == 127
    assert shape[0, 7 * 12 : 8 * 12].tolist() == [0] * 12


def test_a_vms_own_inside_is_drawn_to_its_kinds() -> None:
    """Both of one kind: one spikes, one does not; what they share is half a spike."""
    history = with_profile(np.stack([SPIKE, np.zeros(12, np.float32)]))
    history = replace(history, scale=np.maximum(history.scale, np.float32(1e-3)))
    own = inside_hours(history, np.full(2, 10.0, np.float32))
    share = PRIOR_HOURS / (336 + PRIOR_HOURS)
    assert own[0, 0] == pytest.approx(44 * (1 - share) + 22 * share, rel=0.01)
    assert own[1, 0] == pytest.approx(22 * share, rel=0.01)


def test_a_vm_of_which_nothing_is_known_has_its_kinds_in_its_own_spreads() -> None:
    known, spread = with_profile(np.stack([SPIKE, SPIKE]), kind=(1, 1)), np.array([10.0, 1.0], np.float32)
    history = replace(known, scale=known.scale * np.array([[1.0], [0.0]], np.float32))
    own = inside_hours(history, spread)
    assert own[1] == pytest.approx(own[0] / 10, rel=0.01)
    alone = inside_hours(replace(history, kind=np.array([1, 2], np.int32)), spread)
    assert alone[1].tolist() == [0.0] * 12


def test_what_is_not_finite_is_as_if_not_known_and_spoils_no_neighbour() -> None:
    history = with_profile(np.stack([SPIKE, SPIKE, SPIKE]), kind=(1, 2, 1))
    spread = np.full(3, 10.0, np.float32)
    good = inside_hours(history, spread)
    scale = history.scale.copy()
    scale[1] = np.inf
    bad = inside_hours(replace(history, scale=scale), spread)
    np.testing.assert_array_equal(bad[[0, 2]], good[[0, 2]])
    assert np.isfinite(bad).all()


@pytest.mark.parametrize("spread", [0.1, 5.0])
def test_an_inside_alone_in_its_kind_comes_back_whole(spread: float) -> None:
    own = inside_hours(with_profile(SPIKE[None]), np.full(1, spread, np.float32))
    assert own[0] == pytest.approx(SPIKE, abs=44 / SHAPE_ONE)
