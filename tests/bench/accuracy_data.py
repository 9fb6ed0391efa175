"""The traces of the accuracy benchmark as recorded fleets, with the splits that nothing may look across."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from batch.recorded import Recorded, Samples, recorded
from batch.rolling import Asked
from models.minutes import DAY_MIN, HOUR_MIN, Minute, parse_iso
from tests.bench.lines import say

TRACES = Path(os.environ.get("ZHUGE_TRACES", Path(__file__).parents[3] / "shared" / "data" / "traces"))
AUGUST = parse_iso("2013-08-01T00:00Z")
AZURE_TRAIN_DAYS = 20
PLANETLAB_KNOWN_H = 12


class Split(NamedTuple):
    """A fleet; what lies before `train_end` may be learned from, origins begin at `first`."""

    fleet: Recorded
    train_end: Minute
    first: Minute


def need_traces() -> None:
    """Ends the benchmark, and says so, where the traces are not there."""
    if not (TRACES / "bitbrains_rnd_2013-07_5min.parquet").exists():
        say(f"traces: expected Parquet files in {TRACES}, got none. Set ZHUGE_TRACES to the folder that has them.")
        sys.exit(2)


def bitbrains(every: int) -> Split:
    """July and August 2013; each `every`-th VM. July's file ends some hours before July does."""
    july = pq.read_table(TRACES / "bitbrains_rnd_2013-07_5min.parquet")
    both = pa.concat_tables([july, pq.read_table(TRACES / "bitbrains_rnd_2013-08_5min.parquet")])
    fleet = recorded(_samples(both))
    train_end = (int(july["ts"].to_numpy().max()) // 60 + 1) // HOUR_MIN * HOUR_MIN
    return Split(fleet.take(np.arange(0, len(fleet.ids), every)), train_end, AUGUST)


def azure(every: int) -> Split:
    """28 days of Azure; 20 of them to learn from."""
    fleet = recorded(_samples(pq.read_table(TRACES / "azure_v1_avg100_5min.parquet")))
    split = fleet.start + AZURE_TRAIN_DAYS * DAY_MIN
    return Split(fleet.take(np.arange(0, len(fleet.ids), every)), split, split)


class Days(NamedTuple):
    """Days of PlanetLab, each a VM of its own that begins at minute 0: other slices ran each day.

    learned, asked: int64, the VMs of the first five days and of the last five.
    """

    fleet: Recorded
    learned: NDArray[np.int64]
    asked: NDArray[np.int64]


def planetlab(every: int) -> Days:
    """Each `every`-th of the days."""
    table = pq.read_table(TRACES / "planetlab_2011_5min.parquet")
    samples = _samples(table)
    order = np.lexsort((samples.ts_s, samples.vm))
    vm, ts_s, cpu = samples.vm[order], samples.ts_s[order], samples.cpu[order]
    first = np.flatnonzero(np.diff(vm, prepend=-1))
    since = ts_s - np.repeat(ts_s[first], np.diff(first, append=len(vm)))
    fleet = recorded(Samples(samples.ids, 5, vm, since, cpu))
    later = ts_s[first] > np.median(ts_s[first])
    rows = np.arange(0, len(fleet.ids), every)
    return Days(fleet.take(rows), np.flatnonzero(~later[rows]), np.flatnonzero(later[rows]))


def shortened(asked: Asked, hours: int) -> Asked:
    """As if only the last `hours` hours had been recorded."""
    lost = np.ones(asked.history.mean.shape, np.bool_)
    lost[:, -hours:] = False
    return _without(asked, lost)


def holed(asked: Asked, share: float) -> Asked:
    """As if a share of the hours had been lost, others for each VM and origin."""
    rng = np.random.default_rng(asked.history.end // HOUR_MIN)
    return _without(asked, rng.random(asked.history.mean.shape) < share)


def _without(asked: Asked, lost: NDArray[np.bool_]) -> Asked:
    history = asked.history
    mean, count = history.mean.copy(), history.count.copy()
    mean[lost], count[lost] = np.nan, 0
    there = count > 0
    width = mean.shape[1]
    first = np.where(there.any(axis=1), there.argmax(axis=1), width)
    steps = asked.steps.copy()
    steps[np.repeat(lost, 12, axis=1)[:, -steps.shape[1] :]] = np.nan
    created_at = history.end - (width - first.astype(np.int64)) * HOUR_MIN
    return asked._replace(history=replace(history, mean=mean, count=count, created_at=created_at), steps=steps)


def _samples(table: pa.Table) -> Samples:
    coded = table["vm"].combine_chunks().dictionary_encode()
    vm = coded.indices.to_numpy().astype(np.int64)
    ids = tuple(str(vm_id) for vm_id in coded.dictionary.to_pylist())
    return Samples(ids, 5, vm, table["ts"].to_numpy(), table["cpu"].to_numpy().astype(np.float32))
