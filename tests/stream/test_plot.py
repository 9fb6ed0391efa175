from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Rectangle, StepPatch

from models.errors import StoreError
from models.minutes import HOUR_MIN, parse_iso
from stream.plot import Picture, draw, save

NOW = parse_iso("2026-03-10T12:07Z")
END = parse_iso("2026-03-10T12:00Z")
HISTORY = np.where(np.arange(336) % 50 < 3, np.nan, 20.0 + np.arange(336) % 24).astype(np.float32)
P50 = np.linspace(10.0, 30.0, 26)
PICTURE = Picture(
    title="vm-day",
    note="Quietest 10 minutes from 2026-03-11T00:00Z on.",
    now=NOW,
    history_start=END - 336 * HOUR_MIN,
    history=HISTORY,
    forecast_start=END,
    p50=P50,
    p90=P50 + 5.0,
    windows=((END + 720, 10), (END + 780, 10)),
)
NO_FORECAST = replace(PICTURE, p50=np.zeros(0), p90=np.zeros(0), windows=())


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved."""
    figures: list[Figure] = []
    save_figure = Figure.savefig

    def keep(self: Figure, *args: object, **kwargs: object) -> None:
        figures.append(self)
        save_figure(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def steps(figure: Figure) -> list[StepPatch]:
    """History, band and median of the 14 days, as far as they are drawn."""
    return [patch for patch in figure.axes[0].patches if isinstance(patch, StepPatch)]


def values_of(patch: StepPatch) -> npt.NDArray[np.float64]:
    values, _, _ = patch.get_data()
    return values


def baseline_of(patch: StepPatch) -> object:
    _, _, baseline = patch.get_data()
    return baseline


def test_it_draws_the_numbers_it_was_given(drawn: list[Figure]) -> None:
    draw(PICTURE)
    history, band, median = steps(drawn[0])
    np.testing.assert_array_equal(values_of(history), HISTORY)
    np.testing.assert_array_equal(values_of(band), P50 + 5.0)
    np.testing.assert_array_equal(np.asarray(baseline_of(band)), P50)
    np.testing.assert_array_equal(values_of(median), P50)
    windows = [patch for patch in drawn[0].axes[1].patches if isinstance(patch, Rectangle)]
    assert [round(window.get_width() * 24 * 60, 3) for window in windows] == [10.0, 10.0]


def test_a_gap_is_left_open_and_not_drawn_as_zero(drawn: list[Figure]) -> None:
    draw(PICTURE)
    history, _, median = steps(drawn[0])
    assert baseline_of(history) is None
    assert baseline_of(median) is None
    assert np.nanmin(np.asarray(history.get_path().vertices)[:, 1]) == 20.0


def test_an_idle_vm_and_one_over_its_allocation_fit(drawn: list[Figure]) -> None:
    draw(replace(NO_FORECAST, history=np.zeros(336, dtype=np.float32)))
    draw(replace(NO_FORECAST, history=np.full(336, 250.0, dtype=np.float32)))
    (bottom, low), (_, high) = (figure.axes[0].get_ylim() for figure in drawn)
    assert (bottom, low) == (0.0, 5.0 * 1.08)
    assert high > 250.0


@pytest.mark.parametrize(
    "picture",
    [
        NO_FORECAST,
        replace(NO_FORECAST, history=np.full(336, np.nan, dtype=np.float32)),
        replace(PICTURE, title="x$_^{" * 60, note="$" * 200),
        replace(PICTURE, title="new\nline\0"),
        replace(PICTURE, now=7, history_start=-336 * HOUR_MIN, forecast_start=0),
    ],
)
def test_any_vm_makes_a_picture(picture: Picture, tmp_path: Path) -> None:
    path = tmp_path / "vm.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(draw(picture), path)
    pixels = imread(path)
    assert pixels.shape[:2] == (528, 1560)
    assert float(pixels.std()) > 0.01


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vm.png"
    save(b"old", path)

    def full(_self: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreError, match="No space left"):
        save(b"new", path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_a_clear_refusal(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Name another with --out"):
        save(b"", tmp_path / "no" / "vm.png")
