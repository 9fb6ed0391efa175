"""A small set that is trained once for all tests: 60 VMs at six earlier origins, and the day that came after."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

from models import xgb_student
from models.effort import Effort
from models.features import Seen, features
from models.forecast import HOURS, slice_history
from models.hour_features import hour_features
from models.xgb import XgbForecaster, untitled
from models.xgb_student import Student, distil
from models.xgb_teachers import Lessons, Teachers, opinions, teach
from tests.models.given import END, Floats, history_of, rhythm

EFFORT = Effort(seed=1, threads=1)
FEW_ROUNDS = 12  # a fifth of what a real student gets: a set that works, not a good one
LOAD = rhythm(60, 400, seed=11)
LATE = slice_history(history_of(LOAD), END - HOURS * 60)
TRUTH = LOAD[:, -HOURS:]


class Days(NamedTuple):
    """What was known of the VMs at the origins, and what came."""

    seen: Seen
    lessons: Lessons


def unseen(what: str, share: float) -> None:
    """A progress that nobody watches."""


@cache
def days() -> Days:
    origins = [LATE.end - hours * 60 for hours in range(HOURS, HOURS + 42, 7)]
    histories = [slice_history(LATE, origin) for origin in origins]
    seen = Seen(*(np.concatenate(parts) for parts in zip(*map(features, histories), strict=True)))
    ends = [history.mean.shape[1] for history in histories]
    truth = np.concatenate([LOAD[:, end : end + HOURS] for end in ends])
    return Days(seen, Lessons(np.concatenate([hour_features(h) for h in histories]), truth, seen.floor, seen.spread))


@cache
def teachers() -> Teachers:
    return teach(days().lessons, EFFORT, unseen)


@cache
def said() -> Floats:
    """What the teachers say of `days`."""
    return opinions(teachers(), days().lessons.X)


def learn(effort: Effort) -> Student:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(xgb_student, "ROUNDS", FEW_ROUNDS)
        return distil(days().seen.X, said(), effort)


@cache
def student() -> Student:
    return learn(EFFORT)


def forecaster() -> XgbForecaster:
    """A set of its own each time: it counts what it clips."""
    return untitled(student())
