"""Each fault once, one after the other in one world; at their end nothing is lost and nothing doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.injections import QUICK
from tests.faults.streams import FAULTS, play
from tests.services import broker


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_whatever_dies_no_sample_is_lost_or_counted_twice(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    with broker(tmp_path / "broker") as own:
        rows = play(list(FAULTS), QUICK, seed=5, folder=tmp_path / "world", own=own)
    assert [(row.fault, row.lost, row.doubled) for row in rows] == [(fault, 0, 0) for fault in FAULTS]
    assert all(row.times > 0 for row in rows)
