"""What the load does inside its hours, as far as it repeats: 12 steps of 5 minutes around the hour's mean.

Most of what a short window can win lies here: a fleet's cron jobs make the first minutes of every hour busy, and the
mean of an hour hides them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.daily import mean_known
from models.forecast import SHAPE_ONE, Floats, History
from models.minutes import HOUR_MIN, STEP_MIN

HOUR_STEPS = HOUR_MIN // STEP_MIN
PRIOR_HOURS = 24.0  # known hours that the kind's profile counts for beside the VM's own

Shapes = npt.NDArray[np.int8]


def updated(distance: Floats, steps: Floats, mean: Floats, alpha: float) -> Floats:
    """The exponentially weighted distance of each step from its hour's mean, one closed hour later.

    distance, steps: float32[12, n]; mean: float32[n], percent. It starts at 0, so what came once weighs little and
    what comes each day grows to its full size; a gap leaves what is known as it is.
    """
    step = np.float32(alpha) * (steps - mean - distance)
    return np.asarray(distance + np.where(np.isnan(step), np.float32(0), step), dtype=np.float32)


def packed(distance: Floats) -> tuple[Shapes, Floats]:
    """float32[12, n] as int8[12, n] in 1/127 of a scale float32[n], percent; 0 where nothing is known."""
    scale = np.abs(distance).max(axis=0)
    unit = np.divide(distance, scale, out=np.zeros_like(distance), where=scale > 0)
    return np.rint(unit * SHAPE_ONE).astype(np.int8), scale


def inside_hours(history: History, spread: Floats) -> Floats:
    """Points above its hour's mean in each 5 minutes of any hour: float32[n, 12].

    The mean over the day's hours of a VM's own 5-minute profile, drawn to its kind's (both in `spread`, float32[n],
    percent) as if that had been seen for 24 hours more. What is not known is 0.
    """
    steps = history.shape.reshape(len(history.shape), -1, HOUR_STEPS).astype(np.float32)
    own = (steps * (history.scale[:, :, None] / np.float32(SHAPE_ONE))).mean(axis=1)
    own = np.nan_to_num(own / spread[:, None], nan=0.0, posinf=0.0, neginf=0.0)
    known = np.count_nonzero(history.scale > 0, axis=1)[:, None]
    hours = np.count_nonzero(history.count, axis=1)[:, None] * (known > 0)
    kinds, kind_of_vm = np.unique(history.kind, return_inverse=True)
    total, weight = np.zeros((len(kinds), HOUR_STEPS)), np.zeros((len(kinds), 1))
    np.add.at(total, kind_of_vm, own * (known > 0))
    np.add.at(weight, kind_of_vm, known > 0)
    kind = (total / np.maximum(weight, 1))[kind_of_vm]
    drawn = (own * hours + kind * PRIOR_HOURS) / (hours + PRIOR_HOURS)
    return np.asarray(np.nan_to_num(drawn * spread[:, None]), dtype=np.float32)


def profile_of(steps: Floats, end: int, alpha: float) -> tuple[Shapes, Floats]:
    """The 5-minute profile that the hours before minute `end` leave: shape int8[n, 288], scale float32[n, 24].

    steps: float32[n, h * 12], 5-minute means of whole hours in percent, NaN = gap; each hour of the UTC day is
    `updated` with its own, oldest first (see `forecast.History`).
    """
    n, hours = len(steps), steps.shape[1] // HOUR_STEPS
    by_hour = np.ascontiguousarray(steps.reshape(n, hours, HOUR_STEPS).transpose(1, 2, 0))
    distance = np.zeros((24, HOUR_STEPS, n), np.float32)
    for k, twelve in enumerate(by_hour):
        hour_of_day = (end // HOUR_MIN - hours + k) % 24
        distance[hour_of_day] = updated(distance[hour_of_day], twelve, mean_known(twelve, axis=0), alpha)
    shape, scale = zip(*(packed(hour) for hour in distance), strict=True)
    return np.concatenate(shape).T.copy(), np.stack(scale, axis=1)
