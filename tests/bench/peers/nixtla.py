"""The forecasting peers, each tuned as its documentation advises: mlforecast with LightGBM and XGBoost, statsforecast.

Run by the Python of its own environment: nixtla.py IN.npz OUT.npz --peers lightgbm_l1,mstl --threads 2
IN.npz and OUT.npz are those of tests/bench/accuracy_peers.py. A global peer is trained once, on the columns before
`train_end`; at an origin it gets the known past as `new_df`, so that lags, scales and differences are of that past.
Both libraries need dense series: a missing hour gets the value of the same hour of the day before, repeatedly; before
the first such hour that of the day after; an hour of day never seen the mean of what was. Series are trained on from
their first known hour on. A series without a known hour in the past that is passed gets NaN.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import lightgbm  # type: ignore[import-not-found]
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import xgboost
from mlforecast import MLForecast  # type: ignore[import-not-found]
from mlforecast.lag_transforms import RollingMean, RollingStd, SeasonalRollingMean  # type: ignore[import-not-found]
from mlforecast.target_transforms import Differences, LocalStandardScaler  # type: ignore[import-not-found]
from numpy.typing import NDArray
from statsforecast import StatsForecast  # type: ignore[import-not-found]
from statsforecast.models import MSTL, AutoARIMA, AutoETS, SeasonalNaive  # type: ignore[import-not-found]

DAY_H, WEEK_H = 24, 168
HOUR = np.timedelta64(1, "h")
LAGS = (*range(1, DAY_H + 1), 48, 72, 96, 120, 144, WEEK_H)  # each hour of the last day, then this hour of each day
GLOBAL_PAST_H = 2 * WEEK_H  # a week for the lags, a day for the differences; the scales are of two weeks
LOCAL_PAST_H = 2 * WEEK_H + DAY_H  # MSTL wants more than two of the longest season
TABLE_SERIES = 10_000  # series a call of a global model
LOCAL_FITS = {"auto_ets": 100, "mstl": 150, "auto_arima": 20}  # at most, and one origin at least: half a minute each

Floats = NDArray[np.float32]


class Question(NamedTuple):
    """What IN.npz asks; `past_h`: known hours that may be looked at from an origin."""

    hours: Floats
    start: np.datetime64
    train_end: int
    origins: NDArray[np.int64]
    horizon: int
    sample: NDArray[np.int64]
    train_vms: NDArray[np.int64]
    past_h: int


class Answer(NamedTuple):
    """`predictions[o, n, horizon]`; the rest as in OUT.npz."""

    predictions: Floats
    train_s: float
    infer_cpu_s: float
    series: int


# 100 rounds at a rate of 0.1, as deep as by default (31 leaves in LightGBM, depth 6 in XGBoost); L1, whose steps are
# coarser, 150 at 0.05. 300 at 0.05 served none of them better on days held out from July 2013, and cost twice the time.
# Sampling rows and columns, the advice of both against over-fitting, helped there, except LightGBM's L2.
SAMPLING = {"subsample": 0.5, "colsample_bytree": 0.5}
ROUNDS = {"n_estimators": 100, "learning_rate": 0.1, "random_state": 0}


def lightgbm_l2(threads: int) -> lightgbm.LGBMRegressor:
    return lightgbm.LGBMRegressor(objective="l2", n_jobs=threads, verbosity=-1, **ROUNDS)


def lightgbm_l1(threads: int) -> lightgbm.LGBMRegressor:
    rounds = ROUNDS | {"n_estimators": 150, "learning_rate": 0.05}
    leaf = {"min_child_samples": 100, "subsample_freq": 1}  # a median of few rows is noise; without a freq no sampling
    return lightgbm.LGBMRegressor(objective="l1", n_jobs=threads, verbosity=-1, **leaf, **rounds, **SAMPLING)


def xgboost_l2(threads: int) -> xgboost.XGBRegressor:
    return xgboost.XGBRegressor(objective="reg:squarederror", n_jobs=threads, **ROUNDS, **SAMPLING)


LEARNERS = {"lightgbm_l2": lightgbm_l2, "lightgbm_l1": lightgbm_l1, "xgboost_l2": xgboost_l2}
TARGETS: dict[str, Callable[[], list[Any]]] = {
    "": list,
    "_scaled": lambda: [LocalStandardScaler()],
    "_diff24": lambda: [Differences([DAY_H])],
}
GLOBAL = {learner + target: (learner, target) for learner in LEARNERS for target in TARGETS}


def forecaster(learner: str, target: str, past_h: int, threads: int) -> MLForecast | None:
    """Recursive, as is mlforecast's default; None where the past is too short for it."""
    left_h = past_h - (DAY_H if target == "_diff24" else 0)
    if left_h < 1:
        return None
    rolling = [kind(hours) for hours in (DAY_H, WEEK_H) if hours <= left_h for kind in (RollingMean, RollingStd)]
    days = min(7, left_h // DAY_H)
    seasonal = [SeasonalRollingMean(season_length=DAY_H, window_size=days)] if days else []
    transforms = {lag: found for lag, found in ((1, rolling), (DAY_H, seasonal)) if found}
    return MLForecast(
        models={"peer": LEARNERS[learner](threads)},
        freq="h",
        lags=[lag for lag in LAGS if lag <= left_h],
        lag_transforms=transforms,
        date_features=["hour", "dayofweek"],
        target_transforms=TARGETS[target](),
        num_threads=threads,
    )


def filled(hours: Floats) -> Floats:
    """Dense, as the head of this file says; a row without any known hour stays NaN. Uses what is in `hours` only."""
    dense, end = hours.copy(), hours.shape[1]
    days = range(DAY_H, end, DAY_H)
    for first in days:
        day = dense[:, first : first + DAY_H]
        np.copyto(day, dense[:, first - DAY_H : first - DAY_H + day.shape[1]], where=np.isnan(day))
    for first in reversed(days):
        day = dense[:, first - DAY_H : min(first, end - DAY_H)]
        np.copyto(day, dense[:, first : first + day.shape[1]], where=np.isnan(day))
    known = ~np.isnan(hours)
    means = np.where(known, hours, 0).sum(1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), 1)
    some = known.any(1)
    dense[some] = np.where(np.isnan(dense[some]), means[some], dense[some])
    return dense


def frame(hours: Floats, begins: NDArray[np.datetime64], first: NDArray[np.int64] | int = 0) -> pd.DataFrame:
    """Long, as both libraries read it: ids are rows, which begin at a time each and are told from column `first` on."""
    rows, columns = np.nonzero(np.arange(hours.shape[1]) >= np.broadcast_to(first, len(hours))[:, None])
    return pd.DataFrame({"unique_id": rows, "ds": begins[rows] + columns * HOUR, "y": hours[rows, columns]})


def known_past(question: Question, origins: NDArray[np.int64], past_h: int) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """The dense past of all series at these origins, an id a series and origin, and `told[o, n]`: who is among them."""
    hours = np.concatenate([question.hours[:, origin - past_h : origin] for origin in origins])
    begins = np.repeat(question.start + (origins - past_h) * HOUR, len(question.hours))
    told = ~np.isnan(hours).all(1)
    return frame(filled(hours[told]), begins[told]), told.reshape(len(origins), -1)


def trained(question: Question, peer: str, threads: int) -> MLForecast | None:
    """On the training series from their first known hour on; None where the past is too short for this peer."""
    found = forecaster(*GLOBAL[peer], min(question.past_h, GLOBAL_PAST_H), threads)
    if found is not None:
        hours = question.hours[question.train_vms, : question.train_end]
        first = np.where(np.isnan(hours).all(1), hours.shape[1], np.argmin(np.isnan(hours), axis=1))
        needed_h = max(found.ts.lags) + DAY_H * (GLOBAL[peer][1] == "_diff24")
        enough = hours.shape[1] - first > needed_h
        begins = np.broadcast_to(question.start, len(hours))
        found.fit(frame(filled(hours[enough]), begins, first[enough]), static_features=[], as_numpy=True)
    return found


def unanswered(question: Question) -> Floats:
    return np.full((len(question.origins), len(question.hours), question.horizon), np.nan, np.float32)


def of_global(question: Question, peer: str, threads: int) -> Answer:
    """One model for all series. Only `predict` is timed: making its table is this benchmark's own work.

    Several origins are asked in one call, so that its fixed costs are spread over as many series as in a large fleet.
    """
    began_s = time.monotonic()
    model = trained(question, peer, threads)
    train_s = time.monotonic() - began_s
    predictions, cpu_s = unanswered(question), 0.0
    if model is None:
        return Answer(predictions, train_s, cpu_s, len(question.hours))
    step = max(1, TABLE_SERIES // len(question.hours))
    for at in range(0, len(question.origins), step):
        past, told = known_past(question, question.origins[at : at + step], min(question.past_h, GLOBAL_PAST_H))
        began_s = time.process_time()
        found = model.predict(question.horizon, new_df=past)
        cpu_s += time.process_time() - began_s
        predictions[at : at + step][told] = found["peer"].to_numpy().reshape(-1, question.horizon)
    return Answer(predictions, train_s, cpu_s, len(question.hours))


def local_model(peer: str, past_h: int) -> AutoETS | AutoARIMA | MSTL | None:
    """A day as the season where two are known; MSTL with the week too where more than two are, and ETS for its trend.

    None where there is no season that MSTL could take out.
    """
    season = DAY_H if past_h >= 2 * DAY_H else 1
    match peer:
        case "auto_ets":
            return AutoETS(season_length=season)
        case "auto_arima":
            return AutoARIMA(season_length=season, approximation=True)  # its advice for long seasons: minutes, else
        case _:
            seasons = [hours for hours in (DAY_H, WEEK_H) if past_h > 2 * hours]
            return MSTL(season_length=seasons, trend_forecaster=AutoETS(model="ZZN"), alias=peer) if seasons else None


def of_local(question: Question, peer: str) -> Answer:
    """A model a series and origin, at origins spread over those asked; fitting it is a part of the forecast's price."""
    predictions, cpu_s = unanswered(question), 0.0
    past_h = min(question.past_h, LOCAL_PAST_H)
    model = local_model(peer, past_h)
    most = max(1, LOCAL_FITS[peer] // len(question.sample))
    count = min(most, len(question.origins)) if model is not None else 0
    sampled = question._replace(hours=question.hours[question.sample])
    for at in np.linspace(0, len(question.origins) - 1, count).round().astype(int):
        past, told = known_past(sampled, question.origins[at : at + 1], past_h)
        began_s = time.process_time()
        # The fallback, as its guide has it, for a series that cannot be fitted: one would fail the whole table.
        engine = StatsForecast([model], freq="h", n_jobs=1, fallback_model=SeasonalNaive(min(DAY_H, past_h)))
        found = engine.forecast(df=past, h=question.horizon)
        cpu_s += time.process_time() - began_s
        predictions[at, question.sample[told[0]]] = found[repr(model)].to_numpy().reshape(-1, question.horizon)
    return Answer(predictions, 0.0, cpu_s, len(question.sample))


def read(path: str, most_h: int) -> Question:
    with np.load(path) as told:
        asked: dict[str, Any] = dict(told)
    whole = {name: int(asked[name]) for name in ("train_end", "horizon")}
    start = np.datetime64(int(asked["start"]), "m").astype("datetime64[ns]")
    return Question(**asked | whole | {"start": start, "past_h": min(most_h, int(asked["origins"].min()))})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("question", metavar="IN.npz")
    parser.add_argument("answer", metavar="OUT.npz")
    parser.add_argument("--peers", required=True, help=", ".join([*GLOBAL, *LOCAL_FITS]))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max-lag", type=int, default=LOCAL_PAST_H, help="known hours that an origin may look back on")
    args = parser.parse_args()
    question = read(args.question, args.max_lag)
    found: dict[str, Any] = {}
    for peer in args.peers.split(","):
        answer = of_global(question, peer, args.threads) if peer in GLOBAL else of_local(question, peer)
        for name, value in zip(("", "_train_s", "_infer_cpu_s", "_series"), answer, strict=True):
            found[peer + name] = np.asarray(value)
        sys.stderr.write(f"{peer}: trained in {answer.train_s:.1f} s, predicted in {answer.infer_cpu_s:.1f} CPU s\n")
    np.savez(args.answer, **found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
