"""The champion: one trained set that forecasts every VM and says which of its hours are quiet.

A student (`xgb_student`) recites what teachers (`xgb_teachers`) taught it of the mean, the median, the P90 and the rank
of each hour; held-out days correct the P90 (`conformal`). Global models: no id is a feature, one set serves all VMs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from zipfile import BadZipFile

import numpy as np
from xgboost.core import XGBoostError

from models.conformal import CELLS, fit_widening, widen
from models.daily import MAX_LOAD_PCT
from models.errors import SetError
from models.features import FEATURES, Seen, features
from models.forecast import HOURS, Floats, History, Prediction, Rung
from models.manifest import Golden
from models.rank import in_points
from models.xgb_student import Student, recite, student_files, student_from
from models.xgb_teachers import HEADS

BATCH_VMS = 10_000
FLAT_SPREADS = 0.05  # between the week's quietest and busiest hour
LOW, HIGH = FEATURES.index("low_spreads"), FEATURES.index("high_spreads")
WIDENING_FILE = "p90_widening.json"


@dataclass(slots=True, eq=False)
class XgbForecaster:
    """A trained set as a `Forecaster`. widening: float32[CELLS], spreads (see `conformal`).

    `clipped` counts the hours and heads that lay outside of 0 and 100 % since this process loaded the set.
    """

    name: str
    student: Student
    widening: Floats
    rung: Rung = Rung.CHAMPION
    clipped: int = 0

    def predict(self, history: History) -> Prediction:
        """See `Forecaster`; NaN for VMs without a known hour in the last 14 days. 10,000 VMs at a time."""
        n = len(history.mean)
        made = Prediction(*(np.empty((n, HOURS), np.float32) for _ in Prediction._fields))
        seen = features(history)
        for start in range(0, n, BATCH_VMS):
            rows = slice(start, start + BATCH_VMS)
            for out, head in zip(made, self.predict_seen(seen.take(rows)), strict=True):
                out[rows] = head
        return made

    def predict_seen(self, seen: Seen) -> Prediction:
        """The same from `features`: percent within 0 and 100, p50 <= p90."""
        said = dict(zip(HEADS, recite(self.student, seen.X).transpose(1, 0, 2), strict=True))
        spread = seen.spread[:, None]
        # Where the floor is not known nothing is: it is NaN, and so is what stands on it.
        mean, p50, p90 = (self._within(seen.floor + said[head] * spread) for head in ("mean", "p50", "p90"))
        p90 = widen(np.maximum(p50, p90), seen.level, seen.spread, self.widening)
        p90 = np.clip(p90, p50, np.float32(MAX_LOAD_PCT))
        rank = in_points(said["rank"], seen.spread)  # NaN with the spread
        # Where nothing ever moves there is no order to be learned: such a VM may go at once.
        flat = seen.X[:, HIGH] - seen.X[:, LOW] < FLAT_SPREADS
        return Prediction(mean, p50, p90, np.where(flat[:, None], mean, rank))

    def _within(self, load: Floats) -> Floats:
        inside: Floats = np.clip(load, np.float32(0), np.float32(MAX_LOAD_PCT))
        self.clipped += int(np.count_nonzero(inside != load)) - int(np.count_nonzero(np.isnan(load)))
        return inside


def untitled(student: Student) -> XgbForecaster:
    """A set without a name yet, its P90 not corrected: see `calibrate`."""
    return XgbForecaster("untitled", student, np.zeros(CELLS, np.float32))


def golden_of(forecaster: XgbForecaster, seen: Seen, rows: int) -> Golden:
    """Some rows of X and what the student says of them, in its own units."""
    some = seen.take(slice(0, len(seen.X), max(1, len(seen.X) // rows))).take(slice(0, rows))
    return Golden(some.X, golden_words(forecaster, some.X))


def golden_words(forecaster: XgbForecaster, X: Floats) -> Floats:
    """What golden rows must give: the student's words about X, float32[n, outputs]."""
    return recite(forecaster.student, X).reshape(len(X), -1)


def calibrate(forecaster: XgbForecaster, seen: Seen, truth: Floats) -> XgbForecaster:
    """The same set with a P90 moved by what held-out days (later than those it learned from) show.

    truth: float32[n, HOURS], percent, NaN = gap.
    """
    plain = replace(forecaster, widening=np.zeros(CELLS, np.float32)).predict_seen(seen)
    return replace(forecaster, widening=fit_widening(plain.p90, truth, seen.level, seen.spread))


def to_files(forecaster: XgbForecaster) -> dict[str, bytes]:
    """The student's files and the P90's widening as JSON: what `from_files` reads."""
    return {**student_files(forecaster.student), WIDENING_FILE: json.dumps(forecaster.widening.tolist()).encode()}


def from_files(files: Mapping[str, bytes], name: str, *, threads: int, device: str = "cpu") -> XgbForecaster:
    """The forecaster that `to_files` wrote; SetError where a file is missing or cannot be read."""
    try:
        student = student_from(files, threads=threads, device=device)
        widening = np.array(json.loads(files[WIDENING_FILE]), dtype=np.float32)
    except (KeyError, ValueError, TypeError, EOFError, OSError, BadZipFile, XGBoostError) as error:
        raise _broken(name, f"{type(error).__name__}: {error}") from error
    if widening.shape != (CELLS,):
        raise _broken(name, f"{WIDENING_FILE} of shape {widening.shape}")
    return XgbForecaster(name, student, widening)


def _broken(name: str, got: str) -> SetError:
    return SetError(
        f"model set {name}", expected="a student's trees and table, a widening", got=got, remedy="Train a new set."
    )
