"""From a forecast to windows: how quiet each 5-minute step is, and which window to migrate in.

Two halves: over arrays of VMs, what the forecast step stores (`quietness`, `default_starts`); for one VM, the choice
under a question's constraints (`choose`). Windows start on the 5-minute grid; what ranks them is the mean quietness of
their minutes, so a length that is not whole steps takes its share of the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.blackout import covered_before
from models.calibration import Calibration, confidence, p90_of
from models.errors import BadInput
from models.forecast import HOURS, NO_START, SHAPE_ONE, STARTS, Floats
from models.minutes import HOUR_MIN, STEP_MIN, Minute, ceil_to

RECORD_MIN = HOURS * HOUR_MIN
MIN_WINDOW_MIN, MAX_WINDOW_MIN = 10, 120
_QUIETEST = np.float32(255)
_FLAT_PCT = np.float32(0.05)  # less is no difference to wait for: an idle VM may go at once
_CHUNK_ROWS = 4096  # some megabytes of float32 at a time stay in the cache

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
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
    """A time to migrate in. violates: any of `deadline`, `blackout`, `max_load` (asked confidence not reached)."""

    start: Minute
    minutes: int
    expected_load_pct: float
    p90_load_pct: float
    confidence: float
    violates: tuple[str, ...]

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
    """Windows side by side, arrays of one length; `overloaded`: less sure of the load than asked."""

    starts: Ints
    quiet: Doubles
    expected: Doubles
    p90: Doubles
    confidence: Doubles
    late: Bools
    blacked: Bools
    overloaded: Bools


def quietness(level: Floats, inside_pct: Floats) -> Bytes:
    """How quiet each 5-minute step is: uint8[n, STARTS], 255 the quietest of the VM's record, 0 the busiest.

    level: float32[n, HOURS], percent; inside_pct: float32[n, 12], points that the load stands above its hour's level
    in each 5 minutes. Their sum, clipped at 0, is scaled per VM over its record. A VM that is flat all over is 255
    everywhere; a step without a number is 0, so a VM without one is 0 everywhere.
    """
    quiet = np.zeros((len(level), STARTS), dtype=np.uint8)
    for rows in _chunks(len(level)):
        load = np.maximum(level[rows, :, None] + inside_pct[rows, None, :], np.float32(0)).reshape(-1, STARTS)
        low = np.fmin.reduce(load, axis=1, keepdims=True)
        span = np.fmax.reduce(load, axis=1, keepdims=True) - low
        load -= low
        load *= np.where(span > _FLAT_PCT, -_QUIETEST / np.maximum(span, _FLAT_PCT), np.float32(0))
        load += _QUIETEST
        quiet[rows] = np.rint(np.fmax(load, 0, out=load), out=load)  # fmax: NaN is 0
    return quiet


def allowed_starts(first_minute: Minute, timezone: str, rules: tuple[str, ...], steps: int) -> Bools:
    """Whether a window of `steps` 5-minute steps may start at each step of a record: bool[STARTS].

    It may where no minute of it is blacked out and it ends within the record. BadInput where a rule cannot be read.
    """
    allowed = np.zeros(STARTS, dtype=np.bool_)
    sums = covered_before(rules, timezone, first_minute, RECORD_MIN)[::STEP_MIN]
    allowed[: STARTS - steps + 1] = sums[steps:] == sums[: len(sums) - steps]
    return allowed


def default_starts(quiet: Bytes, allowed: Bools, steps: int, first_step: int, last_step: int) -> npt.NDArray[np.uint16]:
    """Index of the quietest allowed start of each VM, the earliest among equals, NO_START where there is none.

    quiet: uint8[n, STARTS]; allowed: bool[STARTS] or bool[n, STARTS]. The window of `steps` steps lies wholly inside
    steps [first_step, last_step). A VM whose quietness is 0 everywhere has no forecast and gets NO_START.
    """
    best = np.full(len(quiet), NO_START, dtype=np.uint16)
    starts = slice(first_step, min(last_step, STARTS) - steps + 1)
    if starts.stop <= starts.start:
        return best
    allowed = np.broadcast_to(allowed, quiet.shape)
    for rows in _chunks(len(quiet)):
        part = quiet[rows]
        score = np.zeros((len(part), starts.stop - starts.start), dtype=np.int16)
        for step in range(steps):
            score += part[:, starts.start + step : starts.stop + step]
        score[~allowed[rows, starts]] = -1
        pick = score.argmax(axis=1)
        found = part.any(axis=1) & (np.take_along_axis(score, pick[:, None], axis=1)[:, 0] >= 0)
        best[rows] = np.where(found, pick + first_step, NO_START)
    return best


def covers(first_minute: Minute, start: Minute, minutes: int) -> bool:
    """Whether a record from `first_minute` on holds a window of `minutes` from `start`'s place on the grid on."""
    return first_minute <= start and ceil_to(start, STEP_MIN) + minutes <= first_minute + RECORD_MIN


def choose(first_minute: Minute, record: np.void, ask: Ask, calibration: Calibration) -> Choice:
    """The windows of one record (FORECAST_DTYPE, from `first_minute` on) for `ask`.

    Where none is acceptable: the least bad is rather over the load than blacked out, then nearest to the confidence
    asked, then quietest. Where none ends before `ask.end`: the first on the grid. BadInput unless `covers`.
    """
    first = ceil_to(ask.start, STEP_MIN)
    if not covers(first_minute, ask.start, ask.minutes):
        hours = f"a start at minutes {first_minute} to {first_minute + RECORD_MIN - ask.minutes}"
        raise BadInput("window", expected=hours, got=str(ask.start), remedy="Ask within the hours of the forecast.")
    last = max(first, min(ask.end, first_minute + RECORD_MIN) - ask.minutes)
    grid = np.arange(first, last + 1, STEP_MIN, dtype=np.int64)
    candidates = _judge(first_minute, record, np.concatenate([[ask.start], grid]), ask, calibration)
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
    nearness = np.where(overloaded, candidates.confidence[1:], 1.0)
    order = np.lexsort((-candidates.quiet[1:], -nearness, standing))  # stable: the earliest among equals
    return np.asarray(1 + order[standing[order] == standing[order[0]]])


def _apart(order: npt.NDArray[np.intp], starts: Ints, ask: Ask) -> Iterator[int]:
    """The first k of `order` that do not overlap one another."""
    for _ in range(ask.k):
        if not order.size:
            return
        yield int(order[0])
        order = order[np.abs(starts[order] - starts[order[0]]) >= ask.minutes]


def _judge(first_minute: Minute, record: np.void, starts: Ints, ask: Ask, calibration: Calibration) -> _Candidates:
    """Everything about the windows of `ask.minutes` at these starts."""
    offsets = starts - first_minute
    quiet, expected, p50, p90 = _window_means(_step_values(record), offsets, ask.minutes)
    covered = covered_before(ask.rules, ask.timezone, first_minute, RECORD_MIN)
    sure = confidence(calibration, p50, p90, ask.max_load_pct, ask.minutes)
    return _Candidates(
        starts=starts,
        quiet=quiet,
        expected=expected,
        # The mean of a skewed load may lie over the P90 of chosen windows; a bound under what is expected helps nobody.
        p90=np.maximum(p90_of(calibration, p50, p90, ask.minutes), expected),
        confidence=sure,
        late=starts + ask.minutes > ask.end,
        blacked=covered[offsets + ask.minutes] > covered[offsets],
        overloaded=sure < ask.min_confidence,
    )


def _window(candidates: _Candidates, i: int, ask: Ask) -> Window:
    broken = {"deadline": candidates.late[i], "blackout": candidates.blacked[i], "max_load": candidates.overloaded[i]}
    return Window(
        start=int(candidates.starts[i]),
        minutes=ask.minutes,
        expected_load_pct=float(candidates.expected[i]),
        p90_load_pct=float(candidates.p90[i]),
        confidence=float(candidates.confidence[i]),
        violates=tuple(name for name, is_broken in broken.items() if is_broken),
    )


def _step_values(record: np.void) -> Doubles:
    """Quietness and mean, P50, P90 in percent of each 5-minute step: float64[4, STARTS]."""
    scale = float(record["scale"])
    # Without a day profile nothing is known of the inside of an hour: it is taken as flat.
    inside_pct = record["inside"] * (scale / SHAPE_ONE if np.isfinite(scale) else 0.0)
    hours_pct = np.stack([record["mean"], record["p50"], record["p90"]]) / 100.0
    loads = np.maximum(hours_pct[:, :, None] + inside_pct, 0.0).reshape(3, STARTS)
    return np.concatenate([record["quiet"][None], loads])


def _window_means(values: Doubles, offsets: Ints, minutes: int) -> Doubles:
    """Mean over [offset, offset + minutes) of r rows of step values: float64[r, len(offsets)]."""
    sums = np.zeros((len(values), RECORD_MIN + 1))
    np.cumsum(np.repeat(values, STEP_MIN, axis=1), axis=1, out=sums[:, 1:])
    return np.asarray((sums[:, offsets + minutes] - sums[:, offsets]) / minutes)


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK_ROWS) for start in range(0, n, _CHUNK_ROWS))
