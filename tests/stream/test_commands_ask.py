"""What `zhuge window` says in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from models.calibration import DEFAULT, Calibration
from models.minutes import Clock
from stream.champion import Champion
from stream.clock import write_clock
from tests.models.given import regretting
from tests.stream.small_fleet import DAY, NOW, fill
from zhuge import cli


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with the small fleet, whose clock stands."""
    stores = fill(tmp_path)
    write_clock(stores.control, Clock(0.0, float(NOW), 0.0))
    stores.close()
    (tmp_path / "fleet.sqlite").rename(tmp_path / "zhuge.sqlite")
    return tmp_path


def said(folder: Path, monkeypatch: pytest.MonkeyPatch, calibration: Calibration) -> str:
    monkeypatch.setattr(Champion, "calibration", lambda _self, _model: calibration)
    done = CliRunner().invoke(cli, ["--data", str(folder), "window", DAY], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_where_nobody_has_measured_a_regret_none_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = said(folder, monkeypatch, DEFAULT)
    assert "confidence 0.98, acceptable, forecast" in words
    assert "regret" not in words


def test_the_regret_to_expect_is_told_with_what_it_means(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = said(folder, monkeypatch, regretting(DEFAULT))
    assert "regret expected 1.00, acceptable" in words  # now
    assert "regret expected: 0 = the best time there is, 1 = any time" in words
