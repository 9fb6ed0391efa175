from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import BadInput, StoreError
from stream.stores.open import open_stores
from stream.stores.protocols import METRIC_CPU
from tests.stream.stores.given import forecast_row, full_row


def test_one_url_may_serve_all(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'all.db'}"
    stores = open_stores(url, url, url)
    stores.series.put(METRIC_CPU, [full_row(1, block=0, start=0)])
    stores.control.apply([("k", 0, "v")])
    stores.forecasts.put([forecast_row(0, 0)], log=False)
    stores.close()
    assert [path.name for path in tmp_path.iterdir()] == ["all.db"]


def test_each_store_is_where_its_url_says(tmp_path: Path) -> None:
    names = ("cstore", "control", "answers")
    stores = open_stores(*(f"sqlite:{tmp_path / name}.db" for name in names))
    stores.series.put(METRIC_CPU, [full_row(1, block=0, start=0)])
    stores.control.apply([("k", 0, "v")])
    stores.forecasts.put([forecast_row(0, 0)], log=False)
    stores.close()
    for name in names:
        alone = open_stores(*[f"sqlite:{tmp_path / name}.db"] * 3)
        assert len(alone.series.changed(METRIC_CPU, 60, 0)) == (name == "cstore")
        assert len(alone.control.list("")) == (name == "control")
        assert len(list(alone.forecasts.latest())) == (name == "answers")
        alone.close()


def test_a_path_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_stores(*["sqlite:data/fleet.db"] * 3).close()
    assert (tmp_path / "data" / "fleet.db").is_file()


@pytest.mark.parametrize("url", ["", "fleet.db", "mysql://h/db", "redis://h", "SQLITE:x", "file:x.db", "sqlite", ":x"])
def test_a_scheme_that_is_not_there_is_refused_by_naming_what_is(url: str) -> None:
    with pytest.raises(BadInput, match="expected sqlite:PATH") as caught:
        open_stores(url, url, url)
    assert repr(url) in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite:", "sqlite::memory:", "sqlite:///x.db", "sqlite://x.db"])
def test_a_url_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="path of a file"):
        open_stores(url, url, url)


def test_what_was_opened_is_closed_again_where_the_next_one_fails(tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_text("not a database")
    with pytest.raises(StoreError):
        open_stores(f"sqlite:{tmp_path / 'good.db'}", f"sqlite:{tmp_path / 'bad.db'}", "sqlite:unused.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.db", "good.db"]  # no log: nothing is open
