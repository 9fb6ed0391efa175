"""The manifest of a model set: what it was made from, its files' checksums, and golden rows that tell that it works.

JSON, a gap as null. Golden rows are there because a library of another version or device may load a model without
complaint and answer otherwise.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from models.errors import BadInput, SetError
from models.minutes import Minute

GOLDEN_ATOL = 0.01  # spreads, or standard deviations of a rank
FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
RETRAIN = "Promote another set, or train again."

Floats = npt.NDArray[np.float32]
Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Rows that every process predicts when it loads a set, to learn at once where its library answers otherwise.

    `rows` float32[g, F], NaN where a feature is a gap; `expected` float32[g, outputs]: what the trees gave for them.
    """

    rows: Floats
    expected: Floats


@dataclass(frozen=True, slots=True)
class Facts:
    """What a set was made from and how it scored; `data_through` is the end of the data, `based_on` a set's number."""

    features: tuple[str, ...]
    data_first: Minute
    data_through: Minute
    made_at: Minute
    scores: dict[str, float]
    based_on: int | None


class Manifest(NamedTuple):
    """`files`: `fingerprint` of each file by name; `libraries`: the versions that made them, by name."""

    facts: Facts
    golden: Golden
    files: dict[str, dict[str, str | int]]
    libraries: dict[str, str]


def encode(files: Mapping[str, bytes], facts: Facts, golden: Golden) -> bytes:
    """The manifest as JSON. BadInput where golden rows do not fit the features or a number is infinite."""
    count, width, outputs = len(golden.rows), len(facts.features), golden.expected.size // max(len(golden.rows), 1)
    if not outputs or golden.rows.shape != (count, width) or golden.expected.shape != (count, outputs):
        raise BadInput(
            "golden rows",
            expected=f"at least one, rows of {width} features and some outputs each",
            got=f"rows {golden.rows.shape}, expected {golden.expected.shape}",
            remedy="Take some rows of the training data and what the set predicts for them.",
        )
    fields = asdict(facts) | {
        "scores": {name: _null(score) for name, score in facts.scores.items()},
        "libraries": libraries(),
        "files": {name: fingerprint(data) for name, data in files.items()},
        "golden": {
            "rows": [[_null(value) for value in row] for row in golden.rows.tolist()],
            "expected": [[_null(value) for value in row] for row in golden.expected.tolist()],
        },
    }
    return to_json(fields)


def decode(what: str, data: bytes) -> Manifest:
    """The manifest that `data` holds. SetError, which names `what`, where it is no such JSON."""
    return parse_json(what, data, _read)


def _read(fields: Any) -> Manifest:  # noqa: ANN401 (JSON)
    names = tuple(fields["features"])
    scores = {name: _nan(score) for name, score in fields["scores"].items()}
    first, through, made = (int(fields[name]) for name in ("data_first", "data_through", "made_at"))
    facts = Facts(names, first, through, made, scores, fields["based_on"])
    # NumPy reads None as NaN where the dtype is a float.
    rows, expected = (np.array(fields["golden"][name], np.float32) for name in ("rows", "expected"))
    if rows.shape != (len(expected), len(names)) or expected.ndim != 2:
        raise ValueError(f"golden rows {rows.shape} and {expected.shape}")
    if not fields["files"] or not all(FILE_NAME.fullmatch(name) for name in fields["files"]):
        raise ValueError(f"files {sorted(fields['files'])}")
    return Manifest(facts, Golden(rows, expected), fields["files"], {**fields["libraries"]})


def check_golden(golden: Golden, predicted: Floats) -> None:
    """SetError where `predicted` float32[g, outputs] is over 0.01 off; a NaN equals only a NaN."""
    remedy = "Install the library versions that the set's manifest names, or train again."
    if predicted.shape != golden.expected.shape:
        got = f"shape {predicted.shape}"
        raise SetError("golden rows", expected=f"shape {golden.expected.shape}", got=got, remedy=remedy)
    wrong = ~np.isclose(predicted, golden.expected, rtol=0, atol=GOLDEN_ATOL, equal_nan=True)
    if wrong.any():
        row, column = (int(k) for k in np.argwhere(wrong)[0])
        raise SetError(
            f"golden row {row}, output {column}",
            expected=f"{golden.expected[row, column]:.4f} within {GOLDEN_ATOL}",
            got=f"{predicted[row, column]:.4f} ({wrong.any(axis=1).sum()} of {len(wrong)} rows are off)",
            remedy=remedy,
        )


def libraries() -> dict[str, str]:
    """The versions that are installed of what a set's numbers depend on."""
    return {"numpy": _version("numpy"), "xgboost": _version("xgboost", "xgboost-cpu")}


def check_libraries(what: str, made_with: Mapping[str, str]) -> None:
    """SetError where XGBoost is of another major or minor version than the one that made the set: trees may differ.

    NumPy's files and arithmetic are the same across versions; its is only noted.
    """
    made, here = made_with.get("xgboost", "no version"), libraries()["xgboost"]
    if made.split(".")[:2] != here.split(".")[:2]:
        remedy = f"Install XGBoost {made}, or train again."
        raise SetError(what, expected=f"a set made with XGBoost {here}", got=f"one made with {made}", remedy=remedy)


def parse_json(what: str, data: bytes, read: Callable[[Any], Parsed]) -> Parsed:
    """What `read` makes of the JSON in `data`. SetError, which names `what`, where it is none or of another shape."""
    try:
        return read(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        got = f"{len(data)} bytes that are not ({type(error).__name__}: {error})"
        raise SetError(what, expected="JSON as this version writes it", got=got, remedy=RETRAIN) from error


def to_json(fields: Mapping[str, Any]) -> bytes:
    """UTF-8. BadInput for an infinity, which JSON cannot say."""
    try:
        return json.dumps(fields, allow_nan=False).encode()
    except ValueError as error:
        remedy = "Look for a division by zero where the number was made."
        raise BadInput("numbers of a model set", expected="finite ones or NaN", got=str(error), remedy=remedy) from None


def fingerprint(data: bytes) -> dict[str, str | int]:
    """SHA-256 and size of a file."""
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def _version(*distributions: str) -> str:
    for name in distributions:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    got = "none installed"
    raise SetError(
        "library", expected=" or ".join(distributions), got=got, remedy="Install one of the extras cpu, gpu."
    )
