"""Model sets and champions over objects: immutable files, a manifest uploaded last, and a list of who served when.

    sets/00000007/claim.json      {"nonce"}: whose number it is
    sets/00000007/mean.ubj …      the files
    sets/00000007/manifest.json   last: a set without one is an upload that broke off, and is not there
    champion/00000042.json        {"set", "made_at", "why", "nonce"}; the highest number is in force

Numbers are taken with put-once and a nonce: whoever finds its own nonce under the key has won, also on a retry after
a lost answer.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.errors import SetError
from models.features import FEATURES
from models.forecast import Floats
from models.minutes import Minute
from models.objects import Objects
from models.xgb import VERSIONS, XgbForecaster, from_files

MANIFEST = "manifest.json"
GOLDEN_TOLERANCE_PCT = 0.01  # one step of a stored forecast; a broken or misread model is off by points


@dataclass(frozen=True, slots=True)
class Facts:
    """What the trainer knows of a set. data: [from, to) of the training hours; scores: by name.

    golden_X: float32[k, features], a few rows; golden_loads: float32[k, 3], what `predict_rows` made of them.
    based_on: the champion that it was judged against, None for none.
    """

    data: tuple[Minute, Minute]
    seed: int
    scores: Mapping[str, float]
    golden_X: Floats
    golden_loads: Floats
    based_on: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ModelSet:
    """A set that was read and checked. files: all but the manifest, by name."""

    number: int
    manifest: dict[str, Any]
    files: dict[str, bytes]
    forecaster: XgbForecaster


@dataclass(frozen=True, slots=True)
class ChampionRecord:
    """From `made_at` (wall clock, epoch minute) on set `set_number` served; `number` counts the promotions."""

    number: int
    set_number: int
    made_at: Minute
    why: str


def save_set(objects: Objects, files: Mapping[str, bytes], facts: Facts) -> int:
    """Write a new set and return its number; nobody sees it before its manifest is there."""
    number = _take_number(objects, "sets/", "/claim.json", {})
    for name, data in files.items():
        objects.put(_set_key(number, name), data)
    manifest = {
        **asdict(facts),
        "golden_X": _to_json_rows(facts.golden_X),
        "golden_loads": _to_json_rows(facts.golden_loads),
        "made_at": _wall_minute(),
        "features": FEATURES,
        "versions": VERSIONS,
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    objects.put(_set_key(number, MANIFEST), json.dumps(manifest, indent=1).encode())
    return number


def load_set(objects: Objects, number: int, *, threads: int, device: str = "cpu") -> ModelSet:
    """Read a set and prove it: checksums, feature names, and its golden rows predicted again.

    SetError where there is no such set, a file is missing or altered, it was made for other features, or this machine
    predicts something else than the one that trained it.
    """
    manifest = read_manifest(objects, number)
    if tuple(manifest["features"]) != FEATURES:
        other = sorted(set(manifest["features"]) ^ set(FEATURES))
        raise _error(number, expected="the features of this version", got=f"others: {other or 'another order'}")
    files = {name: _checked_file(objects, number, name, digest) for name, digest in manifest["sha256"].items()}
    forecaster = from_files(files, f"set-{number}", threads=threads, device=device)
    _check_golden(number, manifest, forecaster)
    return ModelSet(number, manifest, files, forecaster)


def read_manifest(objects: Objects, number: int) -> dict[str, Any]:
    """The manifest of a set; SetError where there is none or it cannot be read."""
    data = objects.get(_set_key(number, MANIFEST))
    if data is None:
        raise _error(number, expected="a complete set", got="none with a manifest")
    manifest = _parse(data, f"manifest of model set {number}")
    missing = {"features", "sha256", "golden_X", "golden_loads", "versions"} - manifest.keys()
    if missing:
        raise _error(number, expected="a whole manifest", got=f"one without {sorted(missing)}")
    return manifest


def promote(objects: Objects, set_number: int, why: str) -> ChampionRecord:
    """Make a complete set the champion from now on; SetError where it is not complete."""
    read_manifest(objects, set_number)
    made_at = _wall_minute()
    number = _take_number(objects, "champion/", ".json", {"set": set_number, "made_at": made_at, "why": why})
    return ChampionRecord(number, set_number, made_at, why)


def champion(objects: Objects) -> ChampionRecord | None:
    """Who serves now: the promotion with the highest number; None before the first."""
    keys = objects.list("champion/")
    return _record(objects, keys[-1]) if keys else None


def champions(objects: Objects) -> list[ChampionRecord]:
    """Who served when, oldest first."""
    return [_record(objects, key) for key in objects.list("champion/")]


def _take_number(objects: Objects, prefix: str, suffix: str, body: Mapping[str, object]) -> int:
    """Put `body` with a nonce under the next free number and return the number."""
    data = json.dumps({**body, "nonce": uuid.uuid4().hex}).encode()
    number = max((int(key[len(prefix) :][:8]) for key in objects.list(prefix)), default=0)
    while True:
        number += 1
        key = f"{prefix}{number:08d}{suffix}"
        if objects.put(key, data) or objects.get(key) == data:
            return number


def _record(objects: Objects, key: str) -> ChampionRecord:
    body = _parse(objects.get(key) or b"", f"champion record {key}")
    try:
        number = int(key.removeprefix("champion/").removesuffix(".json"))
        return ChampionRecord(number, int(body["set"]), int(body["made_at"]), str(body["why"]))
    except (KeyError, TypeError, ValueError) as error:
        raise SetError(
            f"champion record {key}", expected="set, made_at and why", got=repr(body), remedy="Promote a set again."
        ) from error


def _checked_file(objects: Objects, number: int, name: str, digest: str) -> bytes:
    data = objects.get(_set_key(number, name))
    if data is None:
        raise _error(number, expected=f"the file {name}", got="none")
    got = hashlib.sha256(data).hexdigest()
    if got != digest:
        raise _error(number, expected=f"{name} with sha256 {digest[:12]}…", got=f"{got[:12]}…")
    return data


def _check_golden(number: int, manifest: Mapping[str, Any], forecaster: XgbForecaster) -> None:
    loads = forecaster.predict_rows(_from_json_rows(manifest["golden_X"]))
    expected = _from_json_rows(manifest["golden_loads"])
    off = np.abs(loads - expected).max(initial=0.0) if loads.shape == expected.shape else np.inf
    if not off <= GOLDEN_TOLERANCE_PCT:
        made_with = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
        raise _error(number, expected=f"its golden rows as predicted with {made_with}", got=f"{off:.3g} points off")


def _to_json_rows(rows: Floats) -> list[list[float | None]]:
    """Rows as JSON has them: null for NaN, every float32 exactly."""
    return [[None if np.isnan(value) else float(value) for value in row] for row in rows]


def _from_json_rows(rows: list[list[float | None]]) -> Floats:
    return np.array(rows, dtype=np.float32)


def _parse(data: bytes, what: str) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except ValueError as error:
        raise SetError(what, expected="JSON", got=str(error), remedy="Train a new set.") from error
    if not isinstance(body, dict):
        raise SetError(what, expected="a JSON object", got=type(body).__name__, remedy="Train a new set.")
    return body


def _set_key(number: int, name: str) -> str:
    return f"sets/{number:08d}/{name}"


def _wall_minute() -> Minute:
    return int(time.time() // 60)


def _error(number: int, *, expected: str, got: str) -> SetError:
    return SetError(f"model set {number}", expected=expected, got=got, remedy="Promote another set or train a new one.")
