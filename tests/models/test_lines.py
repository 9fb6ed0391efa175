"""The straight part: it finds a straight truth again, copies a day, and answers for each VM alone."""

from __future__ import annotations

import numpy as np
import pytest

from models.daily import SLOT_OF_LEAD
from models.features import FEATURES, features
from models.forecast import HOURS
from models.lines import GATES, VECTORS, Lines, drawn, fit_lines
from tests.models.given import Floats, history_of, rhythm

NAN = np.nan


@pytest.fixture(scope="module")
def X() -> Floats:  # noqa: N802 (a matrix)
    return features(history_of(rhythm(300, 336, seed=8))).X


def weights_of(**by_vector: float) -> Lines:
    weights = np.zeros((len(VECTORS), 1 + len(GATES), 1), np.float32)
    for name, weight in by_vector.items():
        weights[VECTORS.index(name), 0] = weight
    return Lines(weights)


def test_what_is_straight_is_found_again(X: Floats) -> None:
    truth = weights_of(profile=0.7, lead=-0.4, cos_24h=0.2)
    truth.weights[VECTORS.index("last_day"), 1 + GATES.index("same_1d")] = 0.5
    said = drawn(truth, X)
    again = drawn(fit_lines(X, said), X)
    assert np.corrcoef(again.ravel(), said.ravel())[0, 1] > 0.995


def test_a_day_is_copied_hour_by_hour(X: Floats) -> None:
    yesterday = X[:, [FEATURES.index(f"last_day_{lead:02}h_spreads") for lead in range(24)]]
    said = drawn(weights_of(last_day=1.0), X)[:, 0]
    order = (yesterday - yesterday.mean(axis=1, keepdims=True)) / yesterday.std(axis=1, keepdims=True)
    np.testing.assert_allclose(said, order[:, SLOT_OF_LEAD], atol=1e-4)


def test_a_gate_bends_the_weight_of_its_vm_only(X: Floats) -> None:
    lines = weights_of()
    lines.weights[VECTORS.index("one"), 1 + GATES.index("same_1d")] = 2.0
    own = X[:, FEATURES.index("same_1d")]
    np.testing.assert_allclose(drawn(lines, X)[:, 0], np.repeat(2 * own[:, None], HOURS, axis=1), rtol=1e-5)


def test_a_vms_answer_does_not_depend_on_its_place_or_its_neighbours(X: Floats) -> None:
    lines = fit_lines(X, np.random.default_rng(1).normal(size=(len(X), 4, HOURS)).astype(np.float32))
    whole = drawn(lines, X)
    order = np.random.default_rng(2).permutation(len(X))
    assert drawn(lines, X[order]).tobytes() == whole[order].tobytes()
    assert drawn(lines, X[7:8]).tobytes() == whole[7:8].tobytes()


def test_what_is_not_known_is_no_reason_to_fall(X: Floats) -> None:
    lines = fit_lines(X, np.ones((len(X), 2, HOURS), np.float32))
    unknown = np.full((3, X.shape[1]), NAN, np.float32)
    unknown[:, FEATURES.index("local_hour_h")] = 5  # the calendar is always known
    assert np.isfinite(drawn(lines, unknown)).all()
    assert drawn(lines, X[:0]).shape == (0, 2, HOURS)
