"""Kinds of VM: rhythm by autocorrelation, load by its mean."""

from __future__ import annotations

import numpy as np

from batch.kinds import LOADS, RHYTHMS, autocorrelation, kinds_of

HOUR = np.arange(24 * 14)
WAVE = np.sin(HOUR * 2 * np.pi / 24)


def test_a_wave_repeats_noise_does_not_and_a_flat_line_has_no_rhythm() -> None:
    noise = np.random.default_rng(1).normal(0, 1, len(HOUR))
    hours = np.stack([20 + 5 * WAVE, 10 + noise, 10 + WAVE + noise, np.full(len(HOUR), 2.0)]).astype(np.float32)
    kinds = kinds_of(hours)
    names = [(RHYTHMS[r], LOADS[load]) for r, load in zip(kinds.rhythm, kinds.load, strict=True)]
    assert names == [
        ("daily rhythm", "over 15 %"),
        ("no rhythm", "3 to 15 %"),
        ("some rhythm", "3 to 15 %"),
        ("no rhythm", "under 3 %"),
    ]


def test_gaps_are_left_out_of_the_autocorrelation() -> None:
    hours = (20 + 5 * WAVE[None]).astype(np.float32)
    whole = autocorrelation(hours, 24)
    hours[0, ::7] = np.nan
    np.testing.assert_allclose(autocorrelation(hours, 24), whole, atol=0.02)
    assert whole[0] > 0.99


def test_a_vm_without_a_sample_and_a_fleet_of_none_are_kinds_too() -> None:
    assert kinds_of(np.full((1, 48), np.nan, np.float32)).rhythm.tolist() == [0]
    assert kinds_of(np.empty((0, 48), np.float32)).load.shape == (0,)
