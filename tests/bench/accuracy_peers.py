"""The forecasting peers, mlforecast and statsforecast, asked by files: their program runs in an environment of its own.

IN.npz holds the fields of `Question` but `past_h`; OUT.npz a peer's `Answered` as `<peer>` (its predictions),
`<peer>_train_s`, `<peer>_infer_cpu_s` and `<peer>_series`.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.bench.lines import say
from tests.bench.peer_home import PEERS, building, home_of

HOME = home_of("nixtla")
PROGRAM = PEERS / "nixtla.py"
GLOBAL = tuple(
    learner + target
    for learner in ("lightgbm_l2", "lightgbm_l1", "xgboost_l2")
    for target in ("", "_scaled", "_diff24")
)
LOCAL = ("auto_ets", "mstl", "auto_arima")
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}  # threads that wait are not to count as work, nor to keep others from it


class Question(NamedTuple):
    """What the peers are asked: the `horizon` hours from each origin on, all columns before it known.

    `hours` float32[n, T], hourly percent with NaN for a gap; `start` the epoch minute (UTC) of its column 0; columns
    before `train_end` may be trained on, of the rows `train_vms`; `origins` int64[o], the first target column of each;
    `sample` rows for the peers that fit each series anew; `past_h` known hours that may be looked at from an origin (no
    more than lie before the first origin).
    """

    hours: NDArray[np.float32]
    start: int
    train_end: int
    origins: NDArray[np.int64]
    horizon: int
    sample: NDArray[np.int64]
    train_vms: NDArray[np.int64]
    past_h: int = 360


class Answered(NamedTuple):
    """A peer's `predictions` float32[o, n, horizon], percent and not clipped, NaN where it cannot say, and its costs.

    `train_s` is of the wall; `infer_cpu_s` of all origins together, features included; `series` predicted an origin.
    """

    predictions: NDArray[np.float32]
    train_s: float
    infer_cpu_s: float
    series: int

    @property
    def infer_s_per_10k(self) -> float:
        """CPU seconds of 10,000 forecasts; NaN where it made none."""
        asked = int((~np.isnan(self.predictions).all((1, 2))).sum()) * self.series
        return self.infer_cpu_s / asked * 10_000 if asked else float("nan")


def built() -> Path:
    """The Python of the peers, built where it is not there yet. ServiceError where the packages cannot be had."""
    if not HOME.is_built():
        with building(HOME, "the forecasting peers' environment (once, some 530 MB on disk)"):
            pass
    return HOME.python


def forecasts(question: Question, peers: Sequence[str], threads: int) -> dict[str, Answered]:
    """What each of the peers (of GLOBAL and LOCAL) says. CalledProcessError where their program fails."""
    say(f"asking {len(peers)} peers at {len(question.origins)} origins about {len(question.hours)} series")
    with tempfile.TemporaryDirectory(prefix="zhuge-peers-") as folder:
        asked, answer = Path(folder) / "in.npz", Path(folder) / "out.npz"
        told = question._asdict()
        past_h = told.pop("past_h")
        np.savez(asked, **told)
        options = ["--peers", ",".join(peers), "--threads", str(threads), "--max-lag", str(past_h)]
        command = [str(built()), "-W", "ignore", str(PROGRAM), str(asked), str(answer), *options]
        subprocess.run(command, env=os.environ | PASSIVE, stdin=subprocess.DEVNULL, check=True)
        with np.load(answer) as found:
            return {peer: answered(found, peer) for peer in peers}


def answered(found: Mapping[str, NDArray[np.float32]], peer: str) -> Answered:
    """One peer's part of OUT.npz."""
    train_s, cpu_s, series = (found[f"{peer}_{name}"] for name in Answered._fields[1:])
    return Answered(found[peer], float(train_s), float(cpu_s), int(series))


if __name__ == "__main__":
    say(f"The forecasting peers are at {built()}")
