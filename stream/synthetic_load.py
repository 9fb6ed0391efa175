"""The synthetic fleet's minutes: one UTC day at a time, from (seed, day) alone, so that any day can be made first."""

from __future__ import annotations

import numpy as np

from models.fleet import FOREVER
from models.minutes import DAY_MIN, HOUR_MIN, utc_offsets_min
from stream.synthetic_fleet import KNOT_MIN, ZONES, Floats, Ints, Load

HIGHEST_PCT = 150.0
DAY_HOURS = DAY_MIN // HOUR_MIN
DAY_KNOTS = DAY_MIN // KNOT_MIN

# A stream of random numbers for each use, so that none depends on how many another has drawn.
WANDER, BURSTS, FLICKER, LOSSES = range(4)


def day_load(load: Load, seed: int, day: int) -> Floats:
    """Percent of the allocation, float32[1440, n], of UTC day `day` (days since 1970); NaN = no sample."""
    minutes = day * DAY_MIN + np.arange(DAY_MIN)
    values = np.random.default_rng((seed, day, FLICKER)).standard_normal((DAY_MIN, len(load.level)), dtype=np.float32)
    values *= load.noise / 2
    values += _between(_knots(load, seed, day), KNOT_MIN)[:DAY_MIN]
    _add_jobs(values, load, minutes)
    resized = np.flatnonzero(load.resized_at < FOREVER)
    values[:, resized] *= np.where(minutes[:, None] >= load.resized_at[resized], load.resize_factor[resized], 1.0)
    np.clip(values, 0.0, HIGHEST_PCT, out=values)
    _lose(values, load, np.random.default_rng((seed, day, LOSSES)))
    return values


def _knots(load: Load, seed: int, day: int) -> Floats:
    """Load without flicker and jobs at each quarter of an hour and at the next day's first: float32[97, n]."""
    vms = len(load.level)
    minutes = day * DAY_MIN + np.arange(DAY_KNOTS + 1) * KNOT_MIN
    knots = np.empty((len(minutes), vms), dtype=np.float32)
    for zone, timezone in enumerate(ZONES):
        here = np.flatnonzero(load.zone == zone)
        weekday, minute_of_day = _local(timezone, minutes)
        hump = load.shape[np.ix_(minute_of_day // KNOT_MIN, here)]
        knots[:, here] = hump * load.weekday[np.ix_(weekday, here)] * load.swing[here]
    turns = minutes[:, None] / DAY_MIN / load.period_days.astype(np.float64) + load.phase
    knots += load.level + load.drift * np.sin(2 * np.pi * turns).astype(np.float32)
    knots += load.noise * _between(_normals((seed, day, WANDER), DAY_HOURS, vms), HOUR_MIN // KNOT_MIN)
    return knots + load.burst * np.clip(_normals((seed, day, BURSTS), DAY_KNOTS, vms) - 1, 0.0, 1.5)


def _normals(stream: tuple[int, int, int], lines: int, vms: int) -> Floats:
    """The day's `lines` and the next day's first, float32[lines + 1, vms], so that midnight shows no seam."""
    seed, day, use = stream
    today = np.random.default_rng((seed, day, use)).standard_normal((lines, vms), dtype=np.float32)
    tomorrow = np.random.default_rng((seed, day + 1, use)).standard_normal((1, vms), dtype=np.float32)
    return np.concatenate([today, tomorrow])


def _between(knots: Floats, steps: int) -> Floats:
    """Straight lines through k + 1 knots: float32[k * steps + 1, n]."""
    lines, vms = knots.shape
    out = np.empty(((lines - 1) * steps + 1, vms), dtype=np.float32)
    inner = out[:-1].reshape(lines - 1, steps, vms)
    weight = (np.arange(steps, dtype=np.float32) / steps)[:, None]
    np.multiply((knots[1:] - knots[:-1])[:, None], weight, out=inner)
    inner += knots[:-1, None]
    out[-1] = knots[-1]
    return out


def _local(timezone: str, minutes: Ints) -> tuple[Ints, Ints]:
    """Local weekday (Monday 0) and local minute of the day at each epoch minute."""
    local = minutes + utc_offsets_min(timezone, minutes)
    return (local // DAY_MIN + 3) % 7, local % DAY_MIN  # 1970-01-01 was a Thursday


def _add_jobs(values: Floats, load: Load, minutes: Ints) -> None:
    """Add the hourly spikes (UTC) and the nightly batch jobs (local time) in place."""
    vms = np.flatnonzero(load.spike)
    local = np.stack([_local(timezone, minutes)[1] for timezone in ZONES], axis=1)[:, load.zone[vms]]
    spiking = minutes[:, None] % HOUR_MIN < load.spike_min[vms]
    working = (local - load.batch_start_min[vms]) % DAY_MIN < load.batch_len_min[vms]
    values[:, vms] += spiking * load.spike[vms] + working * load.batch[vms]


def _lose(values: Floats, load: Load, rng: np.random.Generator) -> None:
    """Put NaN where a VM's hours and minutes are lost, in place."""
    vms = np.flatnonzero(load.lost_minutes)
    hours = rng.random((DAY_HOURS, len(vms))) < load.lost_hours[vms]
    lost = np.repeat(hours, HOUR_MIN, axis=0) | (rng.random((DAY_MIN, len(vms))) < load.lost_minutes[vms])
    values[:, vms] = np.where(lost, np.float32(np.nan), values[:, vms])
