from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest

from models.errors import BadInput, SetError
from models.manifest import Facts, Golden, check_golden, check_libraries, decode, encode, libraries

FACTS = Facts(("lead_h",), 0, 1440, 1500, {"mase": math.nan}, None)
GOLDEN = Golden(np.array([[np.nan], [0.0]], np.float32), np.array([[0.0, 0.0, 2.5], [10, 20, np.nan]], np.float32))


def test_the_manifest_names_libraries_checksums_data_and_gaps() -> None:
    fields = json.loads(encode({"a": b"abc"}, FACTS, GOLDEN))
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert fields["files"] == {"a": {"sha256": digest, "bytes": 3}}
    assert fields["libraries"]["numpy"] == version("numpy")
    assert fields["libraries"]["xgboost"][0].isdigit()
    assert fields["golden"]["rows"] == [[None], [0.0]]
    assert fields["scores"] == {"mase": None}
    assert (fields["data_first"], fields["data_through"], fields["based_on"]) == (0, 1440, None)


def test_a_gap_stays_a_gap_and_zero_stays_zero() -> None:
    facts, golden, _, made_with = decode("manifest", encode({"a": b""}, FACTS, GOLDEN))
    assert np.isnan(golden.rows[0, 0])
    assert golden.rows[1, 0] == 0.0
    assert np.isnan(golden.expected[1, 2])
    assert math.isnan(facts.scores["mase"])
    assert made_with == libraries()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [((0, 1), (0, 3)), ((2, 2), (2, 3)), ((2, 1), (1, 3)), ((2, 1), (2,)), ((2, 1), (2, 0)), ((2,), (2, 3))],
)
def test_golden_rows_of_another_shape_are_bad_input(rows: tuple[int, ...], expected: tuple[int, ...]) -> None:
    golden = Golden(np.zeros(rows, np.float32), np.zeros(expected, np.float32))
    with pytest.raises(BadInput, match="golden rows"):
        encode({"a": b""}, FACTS, golden)


def test_an_infinity_is_bad_input() -> None:
    with pytest.raises(BadInput, match="numbers of a model set"):
        encode({"a": b""}, replace(FACTS, scores={"mase": math.inf}), GOLDEN)


def test_predictions_within_a_hundredth_of_a_point_pass() -> None:
    check_golden(GOLDEN, GOLDEN.expected + np.float32(0.009))


@pytest.mark.parametrize("other", [10.011, 9.989, math.nan, math.inf])
def test_a_prediction_that_is_off_is_named(other: float) -> None:
    predicted = GOLDEN.expected.copy()
    predicted[1, 0] = other
    with pytest.raises(SetError, match=r"golden row 1, output 0: expected 10\.0000 within 0\.01.*1 of 2 rows"):
        check_golden(GOLDEN, predicted)


def test_a_number_where_a_gap_was_is_off() -> None:
    predicted = np.nan_to_num(GOLDEN.expected)
    with pytest.raises(SetError, match="golden row 1, output 2"):
        check_golden(GOLDEN, predicted)


def test_predictions_of_another_shape_are_a_set_error() -> None:
    with pytest.raises(SetError, match=r"shape \(2, 3\)"):
        check_golden(GOLDEN, GOLDEN.expected[:1])


@pytest.mark.parametrize("outputs", [1, 5, 104])
def test_golden_rows_may_have_any_number_of_outputs(outputs: int) -> None:
    golden = Golden(GOLDEN.rows, np.ones((2, outputs), np.float32))
    assert decode("manifest", encode({"a": b""}, FACTS, golden)).golden.expected.shape == (2, outputs)


def other_version(part: int) -> dict[str, str]:
    numbers = libraries()["xgboost"].split(".")
    numbers[part] = str(int(numbers[part]) + 1)
    return {"xgboost": ".".join(numbers)}


@pytest.mark.parametrize("made_with", [{}, {"xgboost": "0.90"}, other_version(0), other_version(1)])
def test_a_set_of_another_xgboost_is_refused_by_name(made_with: dict[str, str]) -> None:
    here = libraries()["xgboost"]
    told = made_with.get("xgboost", "no version")
    with pytest.raises(
        SetError, match=f"model set 7: expected a set made with XGBoost {here}, got one made with {told}"
    ):
        check_libraries("model set 7", made_with)


def test_another_patch_of_xgboost_and_another_numpy_will_do() -> None:
    check_libraries("model set 7", libraries())
    check_libraries("model set 7", {**other_version(2), "numpy": "1.0"})
