"""How logged forecasts stood against what happened, kept as control records: one a run, written once, for 14 days.

Record `judgement/<first minute, ten digits>`: the JSON of a `JudgedRun`. A run is one hour's forecasts of the fleet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from models.conformal import CELLS
from models.errors import StoreError
from models.live_shift import no_shift
from models.minutes import DAY_MIN, Minute
from stream.stores.protocols import Control

PREFIX = "judgement/"
KEPT_MIN = 14 * DAY_MIN


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of one rung's forecasts of one model; None = over nothing that is known. See `judge.Standing`."""

    model: str
    rung: str
    vms: int
    vm_days: int
    regret_macro: float | None
    regret_pooled: float | None
    interval_coverage: float | None
    confidence_said: float | None
    confidence_observed: float | None
    mae_pct: float | None


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """The forecasts from `first_minute` on, judged at minute `judged_at`; minutes: how long their windows are.

    shifts: by model set, how many spreads its P90 moves in each cell from now on (`models.live_shift`).
    """

    first_minute: Minute
    judged_at: Minute
    minutes: int
    judgements: tuple[Judgement, ...]
    shifts: dict[str, list[float]] = field(default_factory=dict)


def read_judged(control: Control) -> list[JudgedRun]:
    """The runs that were judged and are kept, the newest first. StoreError where a record is not what it should be."""
    return [_decoded(key, record.value) for key, record in sorted(control.list(PREFIX).items(), reverse=True)]


def keep_judged(control: Control, run: JudgedRun) -> bool:
    """Keep it, and remove what is older by more than KEPT_MIN; False where it, or what was to go, changed meanwhile."""
    key = key_of(run.first_minute)
    old = key_of(max(0, run.first_minute - KEPT_MIN))
    gone = [(k, record.version, None) for k, record in control.list(PREFIX).items() if k < old]
    return control.apply([(key, 0, msgspec.json.encode(run).decode()), *gone])


def newest_judgements(judged: Sequence[JudgedRun]) -> dict[str, Judgement]:
    """By rung, what the newest run came to: of several models the one that most VMs had."""
    run = judged[0].judgements if judged else ()
    return {judgement.rung: judgement for judgement in sorted(run, key=lambda one: one.vms)}


def shift_in_force(judged: Sequence[JudgedRun], model: str) -> npt.NDArray[np.float32]:
    """The newest shift of a model set, float32[CELLS]; none where it has none, or one of other cells than ours."""
    shift = next((run.shifts[model] for run in judged if model in run.shifts), [])
    return np.array(shift, np.float32) if len(shift) == CELLS else no_shift()


def key_of(first_minute: Minute) -> str:
    """The record of a run; keys sort as minutes do."""
    return f"{PREFIX}{first_minute:010}"


def _decoded(key: str, value: str) -> JudgedRun:
    try:
        return msgspec.json.decode(value, type=JudgedRun)
    except msgspec.DecodeError as error:
        raise StoreError(
            f"control record {key!r}",
            expected="a judged run",
            got=str(error),
            remedy="Another program wrote it: delete the record, or use another control store.",
        ) from error
