"""A killed ingest loses nothing and doubles nothing; and the oracle that says so can see either."""

from __future__ import annotations

import numpy as np
import pytest

from tests.faults.kill import Cells, Verdict, compare, harness

KEY = ("vm-0", 0, 0, 5)


def series(mean: list[float], count: list[int]) -> Cells:
    return {KEY: (np.array(mean, np.float32), np.array(count, np.uint8))}


ORACLE = series([1.0, 0.0, np.nan], [5, 4, 0])


@pytest.mark.parametrize(
    ("found", "lost_and_doubled"),
    [
        (ORACLE, (0, 0)),
        (series([1.0, 0.0, np.nan], [5, 3, 0]), (1, 0)),
        (series([1.0, np.nan, np.nan], [5, 0, 0]), (1, 0)),
        (series([1.0, 0.0, np.nan], [6, 4, 0]), (0, 1)),
        (series([1.0, 0.0, 0.0], [5, 4, 1]), (0, 1)),
        (series([1.01, 0.0, np.nan], [5, 4, 0]), (0, 1)),
        ({}, (2, 0)),
        ({**ORACLE, ("vm-1", 0, 0, 5): ORACLE[KEY]}, (0, 2)),
    ],
)
def test_the_oracle_sees_what_is_lost_and_what_is_doubled(found: Cells, lost_and_doubled: tuple[int, int]) -> None:
    assert compare(ORACLE, found) == lost_and_doubled


@pytest.mark.slow
def test_killed_again_and_again_the_ingest_ends_with_the_aggregates_of_an_undisturbed_run() -> None:
    assert harness(kills=3, seed=11) == Verdict(kills=3, lost=0, doubled=0)
