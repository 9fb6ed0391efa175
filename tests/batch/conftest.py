"""A small fleet that was scored once, for every test that looks at what came of it."""

from __future__ import annotations

import numpy as np
import pytest

from batch.scoring import Scored, score_fleet
from models import xgb_student
from models.effort import Effort
from tests.batch.given import fleet_of, unwatched
from tests.models.given import rhythm
from tests.models.taught import FEW_ROUNDS

DAYS = 21


@pytest.fixture(scope="session")
def scored() -> Scored:
    """30 VMs of a daily rhythm over three weeks, the first minutes of each hour busier; the third was asked about."""
    hours = rhythm(30, 24 * DAYS, seed=3)
    inside = np.where(np.arange(12) == 0, 1.5, 0.95).astype(np.float32)
    steps = np.minimum(hours[:, :, None] * inside, 100).reshape(len(hours), -1).astype(np.float32)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(xgb_student, "ROUNDS", FEW_ROUNDS)
        return score_fleet(fleet_of(steps), None, Effort(vm_days=400), unwatched)
