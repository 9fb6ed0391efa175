"""From a VM's forecast to the windows to migrate in: the choice under a question's constraints.

Windows start on the 5-minute grid; what ranks them is the mean quietness of their minutes, so a length that is not
whole steps takes its share of the last one. Where a question reaches beyond the record, the weekday outlook goes on on
the same grid and the same scale of quietness (`_outlook_quiet`), so one order holds for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.blackout import covered_before
from models.calibration import DEFAULT, Calibration, confidence, expected_regret, hope_of, p90_of
from models.errors import BadInput
from models.forecast import SHAPE_ONE, STARTS
from models.minutes import HOUR_MIN, STEP_MIN, Minute, ceil_to
from models.quiet import FLAT_PCT, QUIETEST, RECORD_MIN, Bools
from models.records import mean_and_spread
from models.weekday import OUTLOOK_HOURS, Outlook

MIN_WINDOW_MIN, MAX_WINDOW_MIN = 10, 120
DOUBT = 0.25  # least regret in Bitbrains' July of 0, 0.25, 0.5, 1, 2; in Azure none beats staying within the day

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of one VM: windows of `minutes` wholly inside [start, end), `k` of them.

    A window is acceptable where none of its minutes is blacked out by `rules` in `timezone` and
    P(mean load <= max_load_pct) >= min_confidence.
    """

    start: Minute
    end: Minute
    minutes: int
    max_load_pct: float
    min_confidence: float
    k: int
    rules: tuple[str, ...]
    timezone: str


@dataclass(frozen=True, slots=True)
class Window:
    """A time to migrate in. violates: any of `deadline`, `blackout`, `max_load` (asked confidence not reached).

    source: `forecast`, or `weekday` where any of it lies beyond the forecast's hours.
    regret_expected: mean regret of chosen windows that promised as much (0: the best time there is, 1: any time); None
    where nobody has measured it.
    """

    start: Minute
    minutes: int
    expected_load_pct: float
    p90_load_pct: float
    confidence: float
    regret_expected: float | None
    violates: tuple[str, ...]
    source: str

    @property
    def acceptable(self) -> bool:
        """Whether it keeps every constraint."""
        return not self.violates


@dataclass(frozen=True, slots=True)
class Choice:
    """The windows for an Ask.

    best: the quietest acceptable one, the earliest among equals; where none is, the least bad, `flagged`.
    now: the one from the asked start on, to the minute, off the grid if need be.
    alternatives: k in all: `best` and the next best of its standing that overlap none before them.
    """

    best: Window
    now: Window
    earliest_acceptable: Window | None
    alternatives: tuple[Window, ...]
    flagged: bool


class _Candidates(NamedTuple):
    """Windows side by side, arrays of one length.

    regret: NaN = not known; overloaded: less sure of the load than asked; beyond: not wholly within the record.
    """

    starts: Ints
    quiet: Doubles
    expected: Doubles
    p90: Doubles
    confidence: Doubles
    regret: Doubles
    late: Bools
    blacked: Bools
    overloaded: Bools
    beyond: Bools


def covers(first_minute: Minute, ask: Ask, outlook: Outlook | None = None) -> bool:
    """Whether a record from `first_minute` on, with its outlook, holds the window at the start's place on the grid."""
    end = first_minute + _reach_min(outlook)
    return first_minute <= ask.start and ceil_to(ask.start, STEP_MIN) + ask.minutes <= end


def choose(
    first_minute: Minute, record: np.void, ask: Ask, calibration: Calibration, outlook: Outlook | None = None
) -> Choice:
    """The windows of one record (FORECAST_DTYPE, from `first_minute` on) for `ask`.

    `outlook`: this VM's, float32[OUTLOOK_HOURS] each, for a question that reaches beyond the record; windows of it are
    judged by `calibration.DEFAULT`. Where none is acceptable: the least bad is rather over the load than blacked out,
    then nearest to the confidence asked, then quietest. Where none ends before `ask.end`: the first on the grid.
    BadInput unless `covers`.
    """
    first, end = ceil_to(ask.start, STEP_MIN), first_minute + _reach_min(outlook)
    if not covers(first_minute, ask, outlook):
        hours = f"a start at minutes {first_minute} to {end - ask.minutes}"
        raise BadInput("window", expected=hours, got=str(ask.start), remedy="Ask within the hours of the forecast.")
    last = max(first, min(ask.end, end) - ask.minutes)
    grid = np.arange(first, last + 1, STEP_MIN, dtype=np.int64)
    candidates = _judge((first_minute, record, outlook), np.concatenate([[ask.start], grid]), ask, calibration)
    order = _by_merit(candidates)
    windows = tuple(_window(candidates, i, ask) for i in _apart(order, candidates.starts, ask))
    return Choice(
        best=windows[0],
        now=_window(candidates, 0, ask),
        earliest_acceptable=_window(candidates, int(order.min()), ask) if windows[0].acceptable else None,
        alternatives=windows,
        flagged=not windows[0].acceptable,
    )


def _by_merit(candidates: _Candidates) -> npt.NDArray[np.intp]:
    """Indices of the candidates on the grid (all but the first) that break least, best first."""
    late, blacked, overloaded = candidates.late[1:], candidates.blacked[1:], candidates.overloaded[1:]
    standing = 4 * late + 2 * blacked + overloaded
    nearness = np.where(overloaded, np.round(candidates.confidence[1:], 6), 1.0)  # the last bits of sums say nothing
    order = np.lexsort((-candidates.quiet[1:], -nearness, standing))  # stable: the earliest among equals
    return np.asarray(1 + order[standing[order] == standing[order[0]]])


def _apart(order: npt.NDArray[np.intp], starts: Ints, ask: Ask) -> Iterator[int]:
    """The first k of `order` that do not overlap one another."""
    for _ in range(ask.k):
        if not order.size:
            return
        yield int(order[0])
        order = order[np.abs(starts[order] - starts[order[0]]) >= ask.minutes]


def _judge(
    known: tuple[Minute, np.void, Outlook | None], starts: Ints, ask: Ask, calibration: Calibration
) -> _Candidates:
    """Everything about the windows of `ask.minutes` at these starts, from first minute, record and outlook."""
    first_minute, record, outlook = known
    steps = _step_values(record, outlook)
    offsets = starts - first_minute
    beyond = offsets + ask.minutes > RECORD_MIN
    quiet, expected, p50, p90 = _window_means(steps, offsets, ask.minutes)
    covered = covered_before(ask.rules, ask.timezone, first_minute, steps.shape[1] * STEP_MIN)

    def by_source(judged: Callable[[Calibration], Doubles]) -> Doubles:
        return np.where(beyond, judged(DEFAULT), judged(calibration)) if beyond.any() else judged(calibration)

    regret = expected_regret(calibration, hope_of(expected, *mean_and_spread(record)), ask.minutes)
    sure = by_source(lambda by: confidence(by, p50, p90, ask.max_load_pct, ask.minutes))
    return _Candidates(
        starts=starts,
        quiet=quiet,
        expected=expected,
        # The mean of a skewed load may lie over the P90 of chosen windows; a bound under what is expected helps nobody.
        p90=np.maximum(by_source(lambda by: p90_of(by, p50, p90, ask.minutes)), expected),
        confidence=sure,
        regret=np.where(beyond, np.nan, regret),
        late=starts + ask.minutes > ask.end,
        blacked=covered[offsets + ask.minutes] > covered[offsets],
        overloaded=sure < ask.min_confidence,
        beyond=beyond,
    )


def _window(candidates: _Candidates, i: int, ask: Ask) -> Window:
    broken = {"deadline": candidates.late[i], "blackout": candidates.blacked[i], "max_load": candidates.overloaded[i]}
    regret = float(candidates.regret[i])
    return Window(
        start=int(candidates.starts[i]),
        minutes=ask.minutes,
        expected_load_pct=float(candidates.expected[i]),
        p90_load_pct=float(candidates.p90[i]),
        confidence=float(candidates.confidence[i]),
        regret_expected=None if np.isnan(regret) else regret,
        violates=tuple(name for name, is_broken in broken.items() if is_broken),
        source="weekday" if candidates.beyond[i] else "forecast",
    )


def _reach_min(outlook: Outlook | None) -> int:
    return RECORD_MIN + (0 if outlook is None else OUTLOOK_HOURS * HOUR_MIN)


def _step_values(record: np.void, outlook: Outlook | None) -> Doubles:
    """Quietness and mean, P50, P90 in percent of each 5-minute step of record and outlook: float64[4, steps]."""
    scale = float(record["scale"])
    # Without a day profile nothing is known of the inside of an hour: it is taken as flat.
    inside_pct = record["inside"] * (scale / SHAPE_ONE if np.isfinite(scale) else 0.0)
    hours_pct = np.stack([record["mean"], record["p50"], record["p90"]]) / 100.0
    if outlook is not None:
        hours_pct = np.concatenate([hours_pct, np.stack(outlook)], axis=1)
    loads = np.maximum(hours_pct[:, :, None] + inside_pct, 0.0).reshape(3, -1)
    quiet = record["quiet"] if outlook is None else np.append(record["quiet"], _outlook_quiet(loads[0], outlook))
    return np.concatenate([quiet[None], loads])


def _outlook_quiet(mean_pct: Doubles, outlook: Outlook) -> Doubles:
    """Quietness of the outlook's steps on the record's scale; whole numbers, which may lie beyond 0 and 255.

    On it 255 stands for the record's lowest expected load, 0 for its highest. What is days away and known from the
    weekday alone must be clearly quieter to be waited for: DOUBT of the outlook's usual P90 above its P50 is added.
    """
    low, high = mean_pct[:STARTS].min(), mean_pct[:STARTS].max()
    doubt_pct = DOUBT * float((outlook.p90 - outlook.p50).mean())
    excess = (mean_pct[STARTS:] + doubt_pct - low) / max(high - low, float(FLAT_PCT))
    return np.asarray(np.rint(QUIETEST * (1.0 - excess)))


def _window_means(values: Doubles, offsets: Ints, minutes: int) -> Doubles:
    """Mean over [offset, offset + minutes) of r rows of step values: float64[r, len(offsets)]."""
    sums = np.zeros((len(values), values.shape[1] * STEP_MIN + 1))
    np.cumsum(np.repeat(values, STEP_MIN, axis=1), axis=1, out=sums[:, 1:])
    return np.asarray((sums[:, offsets + minutes] - sums[:, offsets]) / minutes)
