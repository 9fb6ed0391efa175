"""From a trace's rows to a fleet that can be scored, and where it is split into what is learned and what is asked."""

from __future__ import annotations

import numpy as np

from batch.dataset import HELD_OUT_ORIGINS, HELD_OUT_STEP_H, LEAST_HISTORY_H
from batch.recorded import Recorded, Samples, recorded
from models.errors import BadInput
from models.forecast import HOURS
from models.minutes import DAY_MIN, HOUR_MIN, Minute, ceil_to, format_iso

LEARNED_H = LEAST_HISTORY_H + 2 * HOURS + (HELD_OUT_ORIGINS - 1) * HELD_OUT_STEP_H  # as `dataset.origins_of` needs
LEARNED_SHARE = (2, 3)
ASKED_H = HOURS
MOST_DAYS = 400  # all of it is held in memory, and one wrong time would make it years
HIGHEST_PCT = 655.0  # as in ingest: nothing real is above


def fleet_of(samples: Samples) -> tuple[Recorded, int]:
    """The fleet, and how many values were refused: negative, above 655, infinite. A gap (NaN) is none.

    BadInput where nothing is left, or it spans more than MOST_DAYS.
    """
    cpu = samples.cpu
    known = (cpu >= 0) & (cpu <= HIGHEST_PCT)
    refused = int(np.count_nonzero(~known & ~np.isnan(cpu)))
    if not known.any():
        got = f"none, {refused:,} refused"
        raise BadInput("trace", expected="loads of 0 to 655 %", got=got, remedy="Check what wrote the file.")
    days = int(samples.ts_s[known].max() - samples.ts_s[known].min()) / 86_400
    if days > MOST_DAYS:
        remedy = "Drop rows of a wrong time, or score a part of it."
        raise BadInput("trace", expected=f"at most {MOST_DAYS} days", got=f"{days:,.0f}", remedy=remedy)
    return recorded(samples._replace(cpu=np.where(known, cpu, np.float32(np.nan)))), refused


def default_split(fleet: Recorded) -> Minute:
    """Two thirds of the trace's span, at a whole hour."""
    part, of = LEARNED_SHARE
    return fleet.start + int(fleet.hours.shape[1]) * part // of * HOUR_MIN


def check_span(fleet: Recorded, split: Minute) -> None:
    """BadInput unless `split` is a whole hour with enough of the trace before it to learn from and after it to ask."""
    if split % HOUR_MIN:
        near = format_iso(ceil_to(split, HOUR_MIN))
        raise BadInput("split", expected="a whole hour (UTC)", got=format_iso(split), remedy=f"Try {near}.")
    before_h, after_h = (split - fleet.start) // HOUR_MIN, (fleet.end - split) // HOUR_MIN
    if before_h >= LEARNED_H and after_h >= ASKED_H:
        return
    days = f"{LEARNED_H / 24:.1f} days to learn from and {ASKED_H / 24:.1f} to ask about"
    if fleet.hours.shape[1] < LEARNED_H + ASKED_H:
        got = f"{(fleet.end - fleet.start) / DAY_MIN:.1f} days in all"
        raise BadInput("trace", expected=f"at least {days}", got=got, remedy="Score a longer trace.")
    earliest, latest = fleet.start + LEARNED_H * HOUR_MIN, fleet.end - ASKED_H * HOUR_MIN
    got = f"{before_h / 24:.1f} days before {format_iso(split)} and {after_h / 24:.1f} after it"
    remedy = f"Split it with --split between {format_iso(earliest)} and {format_iso(latest)}."
    raise BadInput("trace", expected=f"at least {days}", got=got, remedy=remedy)
