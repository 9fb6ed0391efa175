"""Quietness and default starts, over arrays of VMs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.forecast import HOURS, NO_START, STARTS
from models.minutes import parse_iso
from models.quiet import allowed_starts, default_starts, quietness
from tests.models.windows_given import hours

MIDNIGHT = parse_iso("2026-03-10T00:00Z")
ONE = 12  # steps in an hour


def test_quietness_by_hand() -> None:
    inside = np.zeros(12, dtype=np.float32)
    inside[0], inside[1] = 30.0, -20.0
    quiet = quietness(np.array([hours(10, 60)]), np.array([inside]))[0]
    # 40, -10, 10 ...; then 90, 40, 60 ...: what ranks may lie under 0
    assert quiet[:3].tolist() == [round(255 * 0.5), 255, round(255 * 0.8)]
    assert quiet[ONE : ONE + 3].tolist() == [0, round(255 * 0.5), round(255 * 0.3)]
    assert quiet.dtype == np.uint8


def test_a_flat_vm_is_quiet_everywhere_and_a_vm_without_numbers_nowhere() -> None:
    level = np.array([hours(0.0), hours(33.3), hours(math.nan)])
    quiet = quietness(level, np.zeros((3, 12), dtype=np.float32))
    assert quiet.min(axis=1).tolist() == [255, 255, 0]
    assert quiet.max(axis=1).tolist() == [255, 255, 0]


def test_an_hour_without_a_number_is_never_quiet_and_does_not_disturb_the_others() -> None:
    quiet = quietness(np.array([hours(1, math.nan, 3)]), np.zeros((1, 12), dtype=np.float32))[0]
    assert quiet[[0, ONE, 2 * ONE]].tolist() == [255, 0, 0]


def test_every_vm_has_its_own_scale_whatever_chunk_it_falls_into() -> None:
    rng = np.random.default_rng(1)
    level, inside = rng.gamma(2.0, 10.0, (5000, HOURS)), rng.normal(0, 3, (5000, 12))
    quiet = quietness(level.astype(np.float32), inside.astype(np.float32))
    load = (level[:, :, None] + inside[:, None, :]).reshape(5000, STARTS)
    low, high = load.min(axis=1, keepdims=True), load.max(axis=1, keepdims=True)
    assert np.abs(quiet - 255 * (high - load) / (high - low)).max() < 0.51


def test_starts_are_allowed_where_no_minute_is_blacked_out() -> None:
    allowed = allowed_starts(MIDNIGHT, "UTC", ("tue 01:03-01:04",), 2)
    assert np.flatnonzero(~allowed).tolist() == [ONE - 1, ONE, STARTS - 1]  # 00:55 and 01:00; the last ends outside


@pytest.mark.parametrize(("date", "hours_out"), [("2026-03-28", 1), ("2026-10-24", 3)])
def test_allowed_starts_on_dst_days(date: str, hours_out: int) -> None:
    first = parse_iso(f"{date}T21:00Z")
    allowed = allowed_starts(first, "Europe/Berlin", ("sun 01:00-03:00",), 1)
    assert (~allowed).sum() == hours_out * ONE


def test_default_starts_by_hand() -> None:
    quiet = np.zeros((5, STARTS), dtype=np.uint8)
    quiet[0, [3, 4, 9, 10]] = 200  # two equal windows: the earlier
    quiet[1, [0, 1]], quiet[1, [20, 21]] = 99, 100  # the quietest begins before first_step
    quiet[2, :] = 255
    quiet[3, [29, 30]], quiet[3, 5] = 255, 1  # the quietest ends after last_step
    allowed = np.ones((5, STARTS), dtype=np.bool_)
    allowed[2] = False
    starts = default_starts(quiet, allowed, steps=2, first_step=1, last_step=30)
    assert starts.tolist() == [3, 20, NO_START, 28, NO_START]
    assert starts.dtype == np.uint16


def test_default_starts_take_one_mask_for_all_and_a_span_too_short_for_any() -> None:
    quiet = np.full((2, STARTS), 7, dtype=np.uint8)
    allowed = np.arange(STARTS) >= 40
    assert default_starts(quiet, allowed, 3, 0, STARTS).tolist() == [40, 40]
    assert default_starts(quiet, allowed, 3, 50, 52).tolist() == [NO_START, NO_START]
