"""Teachers: gradient-boosted trees of one hour each, which see every feature and need not be quick.

Four heads for three uses: the mean and the median load to show, the P90 as the bound, and the rank to choose by. All
but the rank learn (load - floor) / spread, so that a VM idling at 2 % and one working at 80 % are learned from alike
and what the trees do not know stays the floor's. Teachers serve nobody: `xgb_student` learns what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from models.effort import Effort
from models.features import MOST_SPREADS
from models.forecast import Floats
from models.hour_features import HOUR_FEATURES, SCALE_FREE
from models.rank import MOST_REGRET, regrets, standardised, teachable

HEADS = ("rank", "mean", "p50", "p90")
EVERY = tuple(range(len(HOUR_FEATURES)))
MAX_BIN = 128
COMMON = {"subsample": 0.7, "colsample_bytree": 0.7, "tree_method": "hist", "max_bin": MAX_BIN, "verbosity": 0}
PAIRWISE = {
    "objective": "rank:pairwise",
    "lambdarank_pair_method": "mean",
    "lambdarank_num_pair_per_sample": 1,
    "eta": 0.05,
}


class Lessons(NamedTuple):
    """Days of VMs with what came. X: float32[n, HOURS, features] (`hour_features`); truth, floor: float32[n, HOURS].

    Percent; a gap of the truth is NaN. spread: float32[n] (`features.Seen`).
    """

    X: Floats
    truth: Floats
    floor: Floats
    spread: Floats


@dataclass(frozen=True, slots=True)
class Lesson:
    """How one teacher is trained: XGBoost's parameters, rounds, and the columns of `hour_features` that it sees.

    A day weighs (its room, or its VM's spread) ** weight_power: 0 counts VM-days alike, 1 counts percent points.
    """

    params: Mapping[str, Any]
    rounds: int
    weight_power: float
    columns: Sequence[int] = EVERY


# Measured on Bitbrains, July, two splits by time: one ranker alone had (macro + pooled) / 2 of 0.480, these four
# together 0.450; what differs in them (weights, features, loss) matters more than how long each learns.
RANKERS = (
    Lesson({**PAIRWISE, "max_depth": 5}, 150, 0.0),
    Lesson({**PAIRWISE, "max_depth": 5}, 150, 0.5, SCALE_FREE),
    Lesson({**PAIRWISE, "max_depth": 5}, 150, 1.0),
    Lesson({"objective": "reg:squarederror", "eta": 0.05, "max_depth": 5}, 150, 0.5, SCALE_FREE),
)
# A strong lambda keeps the mean near the floor where months differ; VMs alike (power 0) gave the best median.
LOADS = {
    "mean": Lesson({"objective": "reg:squarederror", "reg_lambda": 1000.0, "eta": 0.1, "max_depth": 5}, 60, 0.5),
    "p50": Lesson(
        {
            "objective": "reg:quantileerror",
            "quantile_alpha": 0.5,
            "min_child_weight": 100.0,
            "eta": 0.1,
            "max_depth": 5,
        },
        120,
        0.0,
    ),
    "p90": Lesson(
        {
            "objective": "reg:quantileerror",
            "quantile_alpha": 0.9,
            "min_child_weight": 100.0,
            "eta": 0.1,
            "max_depth": 4,
        },
        60,
        0.0,
    ),
}


class Teachers(NamedTuple):
    """Trained teachers: `rankers` by RANKERS, `loads` by LOADS."""

    rankers: tuple[xgb.Booster, ...]
    loads: dict[str, xgb.Booster]


def teach(lessons: Lessons, effort: Effort, progress: Callable[[str, float], None]) -> Teachers:
    """Train every teacher; `progress(what, share)` is called before each."""
    regret, room = regrets(lessons.truth)
    has_order = teachable(room)
    rankers = []
    for k, lesson in enumerate(RANKERS):
        progress(f"training ranker {k + 1} of {len(RANKERS)}", k / (len(RANKERS) + len(LOADS)))
        rankers.append(_ranker(lesson, lessons.X[has_order], regret[has_order], room[has_order], effort))
    loads = {}
    for k, (name, lesson) in enumerate(LOADS.items(), len(RANKERS)):
        progress(f"training the {name}", k / (len(RANKERS) + len(LOADS)))
        loads[name] = _load(lesson, lessons, effort)
    return Teachers(tuple(rankers), loads)


def opinions(teachers: Teachers, X: Floats) -> Floats:
    """What the teachers say of days: float32[n, len(HEADS), HOURS].

    The rank is standardised within the day; the others are (load - floor) / spread, within -20 and 20.
    """
    shape = X.shape[:2]
    scores = [
        standardised(_said(booster, X, lesson.columns).reshape(shape) * sign)
        for booster, lesson, sign in zip(teachers.rankers, RANKERS, _SIGNS, strict=True)
    ]
    said = {name: _said(booster, X, LOADS[name].columns).reshape(shape) for name, booster in teachers.loads.items()}
    heads = [standardised(np.sum(scores, axis=0)), *(said[name] for name in HEADS[1:])]
    return np.stack([np.clip(head, -MOST_SPREADS, MOST_SPREADS) for head in heads], axis=1).astype(np.float32)


# A pairwise ranker gives the quieter hour the higher score.
_SIGNS = tuple(np.float32(-1 if "rank:" in lesson.params["objective"] else 1) for lesson in RANKERS)


def _ranker(lesson: Lesson, X: Floats, regret: Floats, room: Floats, effort: Effort) -> xgb.Booster:
    """Learns from days that have an order; hours that are gaps are left out of theirs."""
    known = ~np.isnan(regret)
    columns = np.ascontiguousarray(X[known][:, lesson.columns])
    weight = room**lesson.weight_power
    if lesson.params["objective"] == "rank:pairwise":
        group = np.repeat(np.arange(len(X)), known.sum(axis=1))
        label = np.float32(MOST_REGRET) - regret[known]
        data = xgb.QuantileDMatrix(columns, label, qid=group, weight=weight, max_bin=MAX_BIN, nthread=effort.threads)
    else:
        each = np.broadcast_to(weight[:, None], known.shape)[known]
        data = xgb.QuantileDMatrix(columns, regret[known], weight=each, max_bin=MAX_BIN, nthread=effort.threads)
    return _train(lesson, data, effort)


def _load(lesson: Lesson, lessons: Lessons, effort: Effort) -> xgb.Booster:
    known = ~np.isnan(lessons.truth)
    spread = np.broadcast_to(lessons.spread[:, None], known.shape)[known]
    target = (lessons.truth[known] - lessons.floor[known]) / spread
    columns = np.ascontiguousarray(lessons.X[known][:, lesson.columns])
    weight = spread**lesson.weight_power
    data = xgb.QuantileDMatrix(columns, target, weight=weight, max_bin=MAX_BIN, nthread=effort.threads)
    return _train(lesson, data, effort)


def _train(lesson: Lesson, data: xgb.QuantileDMatrix, effort: Effort) -> xgb.Booster:
    machine = {"seed": effort.seed, "nthread": effort.threads, "device": effort.device}
    return xgb.train({**COMMON, **lesson.params, **machine}, data, lesson.rounds)


def _said(booster: xgb.Booster, X: Floats, columns: Sequence[int]) -> npt.NDArray[np.float32]:
    rows = np.ascontiguousarray(X.reshape(-1, X.shape[2])[:, columns])
    said: Floats = booster.inplace_predict(rows)
    return said
