"""Counters of CPU time become rates: the difference of neighbouring samples of a key, in percent of one core.

A rate needs its predecessor, which may be in an earlier batch; so what a batch gives depends on the log before it, but
not on where the log is cut into batches. A replay must begin at the predecessor of the first rate that it has to give
again: its offset comes with each rate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MAX_INTERVALS = 2.5  # further apart, and nobody knows when between them the work was done
_NEVER = -1


class Rates(NamedTuple):
    """m rates of n samples. chosen: intp[m], increasing, the later sample of each pair. ts_s: int64[m], the middle

    between the two, epoch seconds. value: float32[m], percent of one core. since: int64[m], offset of the earlier one.
    fell: intp[k], samples whose counter was below its predecessor's: no rate, a gap.
    """

    chosen: npt.NDArray[np.intp]
    ts_s: npt.NDArray[np.int64]
    value: npt.NDArray[np.float32]
    since: npt.NDArray[np.int64]
    fell: npt.NDArray[np.intp]


class _Log(NamedTuple):
    """Samples sorted by key, those of a key as they came: place intp[n], key int32[n], ts_s, value, offset [n]."""

    place: npt.NDArray[np.intp]
    key: npt.NDArray[np.int32]
    ts_s: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    offset: npt.NDArray[np.int64]


class Counters:
    """The newest sample of each key of one partition. `interval_min` is what the source declares."""

    def __init__(self, interval_min: int) -> None:
        self._longest_s = MAX_INTERVALS * interval_min * 60
        self._ts_s = np.zeros(0, dtype=np.int64)
        self._value = np.zeros(0, dtype=np.float64)
        self._offset = np.zeros(0, dtype=np.int64)

    def rates(
        self,
        key: npt.NDArray[np.int32],
        ts_s: npt.NDArray[np.int64],
        value: npt.NDArray[np.float64],
        offset: npt.NDArray[np.int64],
    ) -> Rates:
        """The rates of the next n samples of the log. key: int32[n]; ts_s: int64[n], not negative; value: float64[n],

        core seconds; offset: int64[n]. A sample that is not later than all before it says nothing new. A counter that
        is negative or no number becomes a rate of NaN, to be refused, and is nobody's predecessor.
        """
        self._grow(int(key.max(initial=-1)) + 1)
        possible = np.isfinite(value) & (value >= 0)
        index = np.flatnonzero(possible)
        order = index[np.argsort(key[index], kind="stable")]
        log = self._later(_Log(order, key[order], ts_s[order], value[order], offset[order]))
        rates = self._differences(log)
        self._remember(log)
        return rates if possible.all() else _with_impossible(rates, np.flatnonzero(~possible), ts_s, offset)

    def _grow(self, keys: int) -> None:
        missing = max(keys, 2 * len(self._ts_s)) - len(self._ts_s) if keys > len(self._ts_s) else 0
        if missing:
            self._ts_s = np.append(self._ts_s, np.full(missing, _NEVER, dtype=np.int64))
            self._value = np.append(self._value, np.zeros(missing))
            self._offset = np.append(self._offset, np.zeros(missing, dtype=np.int64))

    def _later(self, log: _Log) -> _Log:
        """The samples that are later than all before them of their key."""
        if not len(log.key):
            return log
        first = _first_of_key(log.key)
        known = self._ts_s[log.key]
        newest = np.where(first, np.maximum(log.ts_s, known), log.ts_s)
        # One running maximum serves all keys: each key's times are lifted above those of the keys before it.
        base = int(min(newest.min(), known.min()))
        lift = (np.cumsum(first) - 1) * (int(newest.max()) - base + 1)
        before = np.roll(np.maximum.accumulate(newest - base + lift), 1) - lift + base
        new = np.flatnonzero(log.ts_s > np.where(first, known, before))
        if len(new) == len(first):
            return log
        return _Log(log.place[new], log.key[new], log.ts_s[new], log.value[new], log.offset[new])

    def _differences(self, log: _Log) -> Rates:
        first = _first_of_key(log.key)
        then_s = np.where(first, self._ts_s[log.key], np.roll(log.ts_s, 1))
        then_value = np.where(first, self._value[log.key], np.roll(log.value, 1))
        since = np.where(first, self._offset[log.key], np.roll(log.offset, 1))
        has = then_s != _NEVER
        fell = has & (log.value < then_value)
        good = np.flatnonzero(has & ~fell & (log.ts_s - then_s <= self._longest_s))
        good = good[np.argsort(log.place[good])]
        took_s = log.ts_s[good] - then_s[good]
        rate = 100.0 * (log.value[good] - then_value[good]) / took_s
        middle_s = then_s[good] + took_s // 2
        return Rates(log.place[good], middle_s, rate.astype(np.float32), since[good], np.sort(log.place[fell]))

    def _remember(self, log: _Log) -> None:
        last = np.roll(_first_of_key(log.key), -1)
        self._ts_s[log.key[last]] = log.ts_s[last]
        self._value[log.key[last]] = log.value[last]
        self._offset[log.key[last]] = log.offset[last]


def _first_of_key(key: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Which samples, sorted by key, are the first of theirs."""
    first = np.ones(len(key), dtype=np.bool_)
    first[1:] = key[1:] != key[:-1]
    return first


def _with_impossible(
    rates: Rates, index: npt.NDArray[np.intp], ts_s: npt.NDArray[np.int64], offset: npt.NDArray[np.int64]
) -> Rates:
    """The rates and, as NaN at their own time, the samples `index` whose counter cannot be."""
    chosen = np.append(rates.chosen, index)
    order = np.argsort(chosen)
    return Rates(
        chosen[order],
        np.append(rates.ts_s, ts_s[index])[order],
        np.append(rates.value, np.full(len(index), np.nan, dtype=np.float32))[order],
        np.append(rates.since, offset[index])[order],
        rates.fell,
    )
