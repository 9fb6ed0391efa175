"""Train a challenger on the stored past, judge it on held-out hours, and make it champion where it is no worse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import numpy as np

from batch.dataset import Rows, fit_rows, origins_of, rows_at
from models.baseline import hour_of_day_mean
from models.calibration import Calibration, to_json
from models.daily import MAX_LOAD_PCT
from models.errors import BadInput
from models.features import FEATURES
from models.forecast import HOURS, History, slice_history
from models.manifest import Facts, Golden
from models.minutes import HOUR_MIN, Minute
from models.objects import Objects
from models.registry import champion, promote, save_set
from models.score import interval_coverage, mae
from models.xgb import Effort, XgbForecaster, calibrate, to_files, train

MOST_ROWS = 120_000  # twice as many scored the same within noise
LEAST_ROWS = 2_000
GOLDEN_ROWS = 16
Progress = Callable[[float, str], None]
Calibrate = Callable[[XgbForecaster, History, list[Minute]], Calibration | None]


@dataclass(frozen=True, slots=True)
class How:
    """How to train. `calibrate` gives the confidence of windows chosen at the held-out origins."""

    seed: int
    threads: int
    calibrate: Calibrate
    device: str = "cpu"


def train_champion(history: History, objects: Objects, how: How, progress: Progress) -> int:
    """Fit, score and store a set; promote it. Returns its number.

    BadInput where the history is too short or small to train on, or where the challenger's median is worse on the
    held-out hours than the plain hour-of-day mean (it is stored, not promoted).
    """
    origins = origins_of(history)
    progress(0.05, "rows")
    rows = fit_rows(history, origins.fit, most_rows=MOST_ROWS, seed=how.seed)
    if len(rows.y) < LEAST_ROWS:
        raise BadInput(
            "history to train on",
            expected=f"at least {LEAST_ROWS:,} hours of truth",
            got=f"{len(rows.y):,}",
            remedy="Train again when more VMs or days have come.",
        )
    progress(0.3, f"{len(rows.y):,} rows")
    effort = Effort(how.seed, how.threads, how.device)
    forecaster = train(rows.X, rows.y, effort, lambda what, share: progress(0.3 + 0.5 * share, what))
    everyone = np.arange(len(history.mean))
    held_out = [rows_at(history, origin, everyone) for origin in origins.held_out]
    late = Rows(*(np.concatenate(columns) for columns in zip(*held_out, strict=True)))
    scores = _scores(forecaster, late) | _peer_score(history, origins.held_out)
    forecaster = calibrate(forecaster, late.X, late.y)
    progress(0.85, "windows")
    files = to_files(forecaster)
    table = how.calibrate(forecaster, history, origins.held_out)
    if table is not None:
        files["calibration.json"] = to_json(table)
    golden_X = late.X[:: max(1, len(late.X) // GOLDEN_ROWS)][:GOLDEN_ROWS]
    return _release(
        objects, files, _facts(history, objects, scores), Golden(golden_X, forecaster.predict_rows(golden_X))
    )


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


def _release(objects: Objects, files: dict[str, bytes], facts: Facts, golden: Golden) -> int:
    number = save_set(objects, files, facts, golden)
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


def _scores(forecaster: XgbForecaster, late: Rows) -> dict[str, float]:
    """On the held-out rows; P90's coverage on every second VM, with margins from the others."""
    odd = late.vm % 2 == 1
    said = forecaster.predict_rows(late.X)
    bound = calibrate(forecaster, late.X[~odd], late.y[~odd]).predict_rows(late.X[odd])[:, 2]
    return {
        "mae_pct": mae(said[:, 1], late.y),
        "mean_head_mae_pct": mae(said[:, 0], late.y),
        "interval_coverage": interval_coverage(bound, late.y[odd]),
    }


def _peer_score(history: History, origins: list[Minute]) -> dict[str, float]:
    said, truths = [], []
    for origin in origins:
        column = history.mean.shape[1] - (history.end - origin) // HOUR_MIN
        said.append(hour_of_day_mean(slice_history(history, origin)))
        truths.append(np.minimum(history.mean[:, column : column + HOURS], np.float32(MAX_LOAD_PCT)))
    return {"hour_of_day_mean_mae_pct": mae(np.concatenate(said), np.concatenate(truths))}
