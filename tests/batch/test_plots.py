"""Pictures of a scored fleet: each is there, shows something, and holds what the scores say."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from batch.looks import apart, short, style_of
from batch.plots import pictures
from batch.report import report
from batch.scoring import HOUR, OURS, PLAIN, Scored
from batch.shown import EACH, Shown, days_to_show
from batch.summary import rows_of

NAMES = ("regret_by_kind.png", "reliability.png", "gain_and_cost.png", "best_and_worst.png")


@pytest.fixture(scope="module")
def drawn(scored: Scored) -> dict[str, bytes]:
    return pictures(scored, rows_of(scored), days_to_show(scored))


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_large_enough_to_read_and_not_blank(drawn: dict[str, bytes], name: str) -> None:
    pixels = imread(io.BytesIO(drawn[name]))[:, :, :3]
    assert pixels.shape[1] >= 1_200
    assert (pixels < 0.95).any(axis=2).mean() > 0.01
    assert len(np.unique((pixels * 255).astype(np.uint8).reshape(-1, 3), axis=0)) > 20


def test_no_other_picture_and_the_same_scores_give_the_same_bytes(drawn: dict[str, bytes], scored: Scored) -> None:
    assert tuple(drawn) == NAMES
    assert pictures(scored, rows_of(scored), days_to_show(scored)) == drawn


def test_pictures_of_few_kinds_and_no_days_can_be_drawn(scored: Scored) -> None:
    nobody = scored._replace(kinds=scored.kinds._replace(rhythm=np.full(30, -1)))
    rows = rows_of(scored)
    assert set(pictures(nobody, rows, Shown([], []))) == set(NAMES)
    assert report("none", nobody, rows, Shown([], []))


def test_the_page_needs_nothing_else_and_says_every_method(scored: Scored) -> None:
    rows = rows_of(scored)
    page = report("<a & b>", scored, rows, days_to_show(scored)).decode()
    assert "<title>&lt;a &amp; b&gt; scored</title>" in page
    assert re.findall(r'<(?:script|link)[^>]*(?:src|href)="', page) == []
    for row in rows:
        assert f"<td>{row.method}</td>" in page
    assert "Bokeh" in page


def test_the_best_days_are_better_than_the_worst_and_the_bands_are_those_of_the_records(scored: Scored) -> None:
    days = days_to_show(scored)
    assert len(days.best) == len(days.worst) == EACH
    assert max(day.regret for day in days.best) <= min(day.regret for day in days.worst)
    for day in (*days.best, *days.worst):
        assert day.best_pct <= day.chosen_pct
        assert day.best_pct <= day.mean_pct
        np.testing.assert_allclose(day.load[day.chosen : day.chosen + 12].mean(), day.chosen_pct, rtol=1e-4)
        np.testing.assert_allclose(day.load[day.best : day.best + 12].mean(), day.best_pct, rtol=1e-4)
        assert (day.p50 <= day.p90).all()


def test_days_come_from_different_vms(scored: Scored) -> None:
    days = days_to_show(scored)
    ids = [day.vm_id for day in (*days.best, *days.worst)]
    assert len(set(ids)) == len(ids)
    assert HOUR in scored.tables


@given(st.lists(st.floats(0, 2), max_size=12), st.floats(0.001, 0.3))
def test_labels_stand_apart_and_keep_their_order(values: list[float], least: float) -> None:
    places = np.array(apart(values, least))
    assert len(places) == len(values)
    order = np.argsort(values, kind="stable")
    assert (np.diff(places[order]) >= least - 1e-9).all()


def test_labels_with_room_stay_where_they_are() -> None:
    np.testing.assert_allclose(apart([1.0, 0.2, 0.6], 0.1), [1.0, 0.2, 0.6])
    np.testing.assert_allclose(apart([0.5, 0.5], 0.1), [0.45, 0.55])


def test_ours_and_the_plain_xgboost_look_the_same_everywhere() -> None:
    assert style_of(OURS, 0) == style_of(OURS, 2)
    assert len({style_of(OURS, 0), style_of(PLAIN, 0), style_of("now", 0)}) == 3


def test_a_long_or_unprintable_id_is_shown_short() -> None:
    assert short("vm-1") == "vm-1"
    assert len(short("x" * 255)) == 28
    assert short("a\nb") == "a�b"
