"""The student: vector-leaf trees that answer for a VM's whole record at once, taught by what the teachers say of it.

Teachers are asked hour by hour and head by head; a student walks each tree once a VM for every hour and every head.
Its leaves hold a few numbers, the principal components of all that the teachers said, and a table turns these into
hours: the heads share what they have in common, and trees of a few outputs are quick to train.

Source: Hinton, Vinyals & Dean, "Distilling the knowledge in a neural network" (2015), with regression trees.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xgboost as xgb

from models.effort import Effort
from models.features import CHUNK_VMS, FEATURES
from models.forecast import HOURS, Floats
from models.lines import GATES, VECTORS, Lines, drawn, fit_lines
from models.xgb_teachers import HEADS

COMPONENTS = 16
MAX_BIN = 32  # 64 bins and half of the columns scored the same, and took twice the time
ROUNDS = 60
PARAMS = {
    "multi_strategy": "multi_output_tree",
    "tree_method": "hist",
    "max_bin": MAX_BIN,
    "max_depth": 6,
    "eta": 0.1,
    "subsample": 0.7,
    "colsample_bytree": 0.3,
    "verbosity": 0,
}
TREES_FILE, TABLE_FILE = "student.ubj", "student.npz"
UBJ_START = b"{L"  # without it XGBoost 3.2 may abort the process (an empty file does)


@dataclass(frozen=True, slots=True, eq=False)
class Student:
    """lines: the straight part (`models.lines`). booster: COMPONENTS outputs a VM, for what lines leave.

    basis: float32[COMPONENTS, outputs]; middle: float32[outputs]; outputs = len(HEADS) * HOURS.
    """

    lines: Lines
    booster: xgb.Booster
    basis: Floats
    middle: Floats


def distil(X: Floats, said: Floats, effort: Effort) -> Student:
    """Learn float32[n, len(HEADS), HOURS] of `opinions` about VMs of `features` X; no gap in `said`."""
    lines = fit_lines(X, said)
    left = said - drawn(lines, X)
    scale = np.maximum(left.std(axis=(0, 2)), 1e-6).astype(np.float32)  # heads count alike
    flat = (left / scale[None, :, None]).reshape(len(left), -1)
    middle = flat.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
    components = vectors[:, ::-1][:, :COMPONENTS].astype(np.float32)
    target = (flat - middle) @ components
    unit = np.float32(max(float(target[:, 0].std()), 1e-6))
    data = xgb.QuantileDMatrix(X, target / unit, feature_names=list(FEATURES), max_bin=MAX_BIN, nthread=effort.threads)
    machine = {"seed": effort.seed, "nthread": effort.threads, "device": effort.device}
    booster = xgb.train({**PARAMS, **machine}, data, ROUNDS)
    outputs = np.repeat(scale, HOURS)
    return Student(lines, booster, np.ascontiguousarray(components.T) * unit * outputs, middle * outputs)


def recite(student: Student, X: Floats) -> Floats:
    """What the student says of VMs of `features` X: float32[n, len(HEADS), HOURS], in the units of `opinions`."""
    n = len(X)
    codes = student.booster.inplace_predict(X).reshape(n, COMPONENTS)
    said = drawn(student.lines, X)
    flat = said.reshape(n, len(HEADS) * HOURS)
    for start in range(0, n, CHUNK_VMS):
        rows = slice(start, start + CHUNK_VMS)
        out = flat[rows]
        out += student.middle
        for k in range(COMPONENTS):  # not BLAS: a VM's bytes must not depend on its place among the others
            out += codes[rows, k, None] * student.basis[k]
    return said


def student_files(student: Student) -> dict[str, bytes]:
    """The trees as UBJ and the table as NPZ: what `student_from` reads."""
    table = io.BytesIO()
    np.savez(table, lines=student.lines.weights, basis=student.basis, middle=student.middle)
    return {TREES_FILE: bytes(student.booster.save_raw("ubj")), TABLE_FILE: table.getvalue()}


def student_from(files: Mapping[str, bytes], *, threads: int, device: str = "cpu") -> Student:
    """The student of `student_files`; where it is something else, whatever error its libraries have for that."""
    data = files[TREES_FILE]
    if not data.startswith(UBJ_START):
        raise ValueError(f"{TREES_FILE} of {len(data)} bytes that are not UBJ")
    booster = xgb.Booster(model_file=bytearray(data))
    booster.set_param({"nthread": threads, "device": device})
    with np.load(io.BytesIO(files[TABLE_FILE]), allow_pickle=False) as table:
        student = Student(Lines(table["lines"]), booster, table["basis"], table["middle"])
    outputs = len(HEADS) * HOURS
    expected = [(len(VECTORS), 1 + len(GATES), len(HEADS)), (COMPONENTS, outputs), (outputs,)]
    got = [student.lines.weights.shape, student.basis.shape, student.middle.shape]
    if got != expected:
        raise ValueError(f"{TABLE_FILE} with tables of {got}, not {expected}")
    return student
