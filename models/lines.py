"""The straight part of what a student says: one linear map for every hour of every VM.

An hour's answer is a weighted sum of what is known of that hour of day (`VECTORS`), and the weights bend with what is
known of the VM (`GATES`): where days repeat yesterday counts more, where they do not the week does. Trees would need
many splits to copy a day from their input to their output; this does just that, and leaves them the rest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.daily import DAY_HOURS, SLOT_OF_LEAD
from models.features import CHUNK_VMS, DAY_COLUMNS, DAYS, FEATURES
from models.forecast import HOURS, Floats
from models.rank import standardised

ORDERS = ("profile", "week_mean", "last_day", "day_before", "week_ago")  # standardised within the day
EXTREMES = ("last_day", "day_before", "week_ago")  # the lowest and the highest of these, in spreads
VECTORS = (
    "one",
    *ORDERS,
    "week_std",
    "lowest",
    "highest",
    "lead",
    "near",  # what fades within hours, and within half a day
    "today",
    *(f"{wave}_{hours}h" for hours in (24, 12, 8) for wave in ("cos", "sin")),  # of the local hour
)
GATES = (
    "same_1h",
    "same_1d",
    "same_7d",
    "daily_power",
    "last_1h_spreads",
    "last_3h_spreads",
    "last_1d_spreads",
    "trend_spreads",
    "known_share",
    "spread_log",
)
RIDGE = 300.0
MOST_VECTOR, MOST_GATE, MOST_SAID = np.float32(5), np.float32(3), np.float32(5)

_GATE_COLUMNS = [FEATURES.index(name) for name in GATES]
_LOCAL_HOUR = FEATURES.index("local_hour_h")
_LEADS = np.arange(HOURS, dtype=np.float32)
_COURSES = np.stack([np.ones(HOURS), _LEADS / HOURS - 0.5, np.exp(-_LEADS / 3), np.exp(-_LEADS / 12)])
_COURSES = _COURSES.astype(np.float32)
_PERIODS_H = (24, 12, 8)


class Lines(NamedTuple):
    """weights: float32[len(VECTORS), 1 + len(GATES), heads]."""

    weights: Floats


def fit_lines(X: Floats, said: Floats) -> Lines:
    """Ridge regression on `features` X float32[n, F] of said, float32[n, heads, HOURS]; no gap in `said`."""
    n, heads = said.shape[:2]
    width = len(VECTORS) * (1 + len(GATES))
    normal, right = np.zeros((width, width)), np.zeros((width, heads))
    target = np.clip(said, -MOST_SAID, MOST_SAID)
    for start in range(0, n, CHUNK_VMS):
        rows = slice(start, start + CHUNK_VMS)
        products = _vectors(X[rows])[:, :, None, :] * _gates(X[rows])[:, None, :, None]
        columns = products.reshape(-1, width, HOURS).transpose(0, 2, 1).reshape(-1, width)
        normal += columns.T @ columns
        right += columns.T @ target[rows].transpose(0, 2, 1).reshape(-1, heads)
    weights = np.linalg.solve(normal + RIDGE * np.eye(width), right)
    return Lines(weights.reshape(len(VECTORS), 1 + len(GATES), heads).astype(np.float32))


def drawn(lines: Lines, X: Floats) -> Floats:
    """What the lines say: float32[n, heads, HOURS]; a VM of which nothing is known gets that of an unknown one."""
    heads = lines.weights.shape[2]
    said = np.empty((len(X), heads, HOURS), np.float32)
    by_gate = np.ascontiguousarray(lines.weights.transpose(1, 2, 0))  # [1 + gates, heads, vectors]
    for start in range(0, len(X), CHUNK_VMS):
        rows = slice(start, start + CHUNK_VMS)
        gates = _gates(X[rows])
        weights = np.zeros((len(gates), *by_gate.shape[1:]), np.float32)
        for k, bent in enumerate(by_gate):  # not BLAS over VMs: a VM's bytes must not depend on its place
            weights += gates[:, k, None, None] * bent
        np.matmul(weights, _vectors(X[rows]), out=said[rows])  # one product a VM
    return said


def _gates(X: Floats) -> Floats:
    """float32[n, 1 + len(GATES)], the first of them 1; what is not known is 0."""
    gates = np.ones((len(X), 1 + len(GATES)), np.float32)
    gates[:, 1:] = np.clip(np.nan_to_num(X[:, _GATE_COLUMNS]), -MOST_GATE, MOST_GATE)
    return gates


def _vectors(X: Floats) -> Floats:
    """float32[n, len(VECTORS), HOURS]; what is not known is 0."""
    days = np.clip(np.nan_to_num(X[:, :DAY_COLUMNS]), -MOST_VECTOR, MOST_VECTOR).reshape(len(X), len(DAYS), DAY_HOURS)
    by_slot = np.empty((len(X), len(ORDERS) + 3, DAY_HOURS), np.float32)
    for k, name in enumerate(ORDERS):
        by_slot[:, k] = standardised(days[:, DAYS.index(name)])
    by_slot[:, -3] = days[:, DAYS.index("week_std")]
    lows = [days[:, DAYS.index(name)] for name in EXTREMES]
    by_slot[:, -2] = np.minimum(np.minimum(lows[0], lows[1]), lows[2])
    by_slot[:, -1] = np.maximum(np.maximum(lows[0], lows[1]), lows[2])
    vectors = np.empty((len(X), len(VECTORS), HOURS), np.float32)
    vectors[:, 0] = _COURSES[0]
    vectors[:, 1 : 1 + by_slot.shape[1]] = by_slot[:, :, SLOT_OF_LEAD]
    vectors[:, 1 + by_slot.shape[1] : 4 + by_slot.shape[1]] = _COURSES[1:]
    hours = X[:, _LOCAL_HOUR, None] + _LEADS
    for k, period_h in enumerate(_PERIODS_H):
        angle = hours * np.float32(2 * np.pi / period_h)
        vectors[:, -6 + 2 * k], vectors[:, -5 + 2 * k] = np.cos(angle), np.sin(angle)
    return vectors
