"""Train a challenger on the past, judge it on held-out days, and make it champion where it is no worse.

`train_set` makes a set of a history and knows no storage; `train_champion` stores it and promotes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from batch.dataset import fit_days, joined_seen, known_at, origins_of
from batch.rolling import Asked, loads_of, served, starts_of
from batch.windows import calibrate_windows
from models.baseline import hour_of_day_mean
from models.calibration import Calibration, to_json
from models.effort import Effort
from models.errors import BadInput
from models.features import FEATURES, Seen
from models.forecast import Floats, History
from models.manifest import Facts, Golden
from models.minutes import HOUR_MIN, Minute
from models.objects import Objects
from models.registry import champion, promote, save_set
from models.score import interval_coverage, mae, window_regret
from models.xgb import XgbForecaster, calibrate, golden_of, to_files, untitled
from models.xgb_student import distil
from models.xgb_teachers import opinions, teach

LEAST_DAYS = 100
MOST_HELD_OUT_VMS = 4_000
GOLDEN_ROWS = 16
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class How:
    """How to train. `asked` gives the question at a held-out origin, for the windows that would have been chosen.

    price: regret that a CPU second for 10,000 VMs may cost (architecture, section 8).
    """

    effort: Effort
    asked: Callable[[Minute], Asked]
    price: float = 0.001


class TrainedSet(NamedTuple):
    """A set, what it scored on held-out days, and golden rows."""

    forecaster: XgbForecaster
    calibration: Calibration | None
    scores: dict[str, float]
    golden: Golden


def train_set(history: History, how: How, progress: Progress) -> TrainedSet:
    """Teachers, student, P90 and confidence. BadInput where the history is too short or small to train on."""
    origins = origins_of(history)
    progress(0.05, "days")
    days = fit_days(history, origins.fit, most_days=how.effort.vm_days, seed=how.effort.seed)
    if len(days.vm) < LEAST_DAYS:
        raise BadInput(
            "history to train on",
            expected=f"at least {LEAST_DAYS:,} days of VMs",
            got=f"{len(days.vm):,}",
            remedy="Train again when more VMs or days have come.",
        )
    teachers = teach(days.lessons, how.effort, lambda what, share: progress(0.1 + 0.5 * share, what))
    progress(0.6, "training the student")
    student = distil(days.seen.X, opinions(teachers, days.hour_X), how.effort)
    forecaster = untitled(student)
    progress(0.8, "held-out days")
    late = _held_out(history, origins.held_out)
    scores = _scores(forecaster, late)
    forecaster = calibrate(forecaster, late.seen, late.truth)
    progress(0.9, "windows")
    asked = [how.asked(origin) for origin in origins.held_out]
    scores |= _window_scores(forecaster, asked, how.price)
    return TrainedSet(
        forecaster, calibrate_windows(forecaster, asked), scores, golden_of(forecaster, late.seen, GOLDEN_ROWS)
    )


class HeldOut(NamedTuple):
    """Days to judge by: seen, truth and vm as in `dataset.Known`; peer: what the plain hour-of-day mean says."""

    seen: Seen
    truth: Floats
    vm: npt.NDArray[np.int64]
    peer: Floats


def _held_out(history: History, origins: list[Minute]) -> HeldOut:
    """The days to judge by. BadInput unless there are some of odd and some of even rows: one half corrects the P90,
    the other shows what that gave.
    """
    some = np.arange(0, len(history.mean), max(1, len(history.mean) // MOST_HELD_OUT_VMS))
    parts = [known_at(history, origin, some) for origin in origins]
    late = HeldOut(
        joined_seen(one.seen for one in parts),
        np.concatenate([one.truth for one in parts]),
        np.concatenate([one.vm for one in parts]),
        np.concatenate([hour_of_day_mean(one.past) for one in parts]),
    )
    if len(np.unique(late.vm % 2)) < 2:
        raise BadInput(
            "history to train on",
            expected="several VMs that report to its end",
            got=f"{len(np.unique(late.vm))} with samples in its last days",
            remedy="Train to an earlier time, or when more VMs have come.",
        )
    return late


def train_champion(history: History, objects: Objects, how: How, progress: Progress) -> int:
    """Fit, score and store a set; promote it. Returns its number.

    BadInput as `train_set`, or where the challenger's median is worse on the held-out hours than the plain hour-of-day
    mean (it is stored, not promoted).
    """
    made = train_set(history, how, progress)
    files = to_files(made.forecaster)
    if made.calibration is not None:
        files["calibration.json"] = to_json(made.calibration)
    facts = _facts(history, objects, made.scores)
    number = save_set(objects, files, facts, made.golden)
    ours, peer = facts.scores["mae_pct"], facts.scores["hour_of_day_mean_mae_pct"]
    if not ours <= peer:
        raise BadInput(
            f"model set {number}",
            expected=f"a median no worse than the hour-of-day mean's MAE of {peer:.3f} points",
            got=f"{ours:.3f}",
            remedy="It is stored and not promoted; train again on more history.",
        )
    promote(objects, number, uuid4().hex, f"MAE {ours:.3f} against {peer:.3f} of the hour-of-day mean", facts.made_at)
    return number


def _facts(history: History, objects: Objects, scores: dict[str, float]) -> Facts:
    before = champion(objects)
    return Facts(
        features=FEATURES,
        data_first=history.end - history.mean.shape[1] * HOUR_MIN,
        data_through=history.end,
        made_at=history.end,
        scores=scores,
        based_on=None if before is None else before.set_number,
    )


def _scores(forecaster: XgbForecaster, late: HeldOut) -> dict[str, float]:
    """On the held-out days; P90's coverage on every second VM, with margins from the others."""
    said = forecaster.predict_seen(late.seen)
    odd, even = np.flatnonzero(late.vm % 2 == 1), np.flatnonzero(late.vm % 2 == 0)
    bounded = calibrate(forecaster, late.seen.take(even), late.truth[even])
    bound = bounded.predict_seen(late.seen.take(odd)).p90
    return {
        "mae_pct": mae(said.p50, late.truth),
        "mean_head_mae_pct": mae(said.mean, late.truth),
        "interval_coverage": interval_coverage(bound, late.truth[odd]),
        "hour_of_day_mean_mae_pct": mae(late.peer, late.truth),
    }


def _window_scores(forecaster: XgbForecaster, asked: list[Asked], price: float) -> dict[str, float]:
    """Regret of the chosen hours, what choosing cost, and both in one: what a champion minimises."""
    parts, vms = [], 0
    began_s = time.process_time()
    for question in asked:
        records = served(question.history, [forecaster])
        starts = starts_of(records, HOUR_MIN, question.day_h, whole_hours=True)
        vms += len(starts)
        parts.append((question, starts))
    cpu_s = (time.process_time() - began_s) * 10_000 / max(vms, 1)
    loads = [loads_of(question, {"ours": starts}, HOUR_MIN, whole_hours=True) for question, starts in parts]
    columns = [(one.chosen["ours"], one.best, one.mean) for one in loads]
    regret = window_regret(*(np.concatenate(values) for values in zip(*columns, strict=True)))
    return {
        "regret_macro": regret.macro,
        "regret_pooled": regret.pooled,
        "infer_cpu_s_per_10k": cpu_s,
        "objective": (regret.macro + regret.pooled) / 2 + price * cpu_s,
    }
