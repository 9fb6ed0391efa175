"""However a VM moves, its history is what its minutes say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.fleet import Life, Vm, owner_at
from models.minutes import Span
from stream.stores.history import read_history, read_steps
from stream.stores.open import Stores
from stream.stores.protocols import METRIC_CPU
from tests.stream.stores.given import block_row, placement

HOURS = 5
Minutes = npt.NDArray[np.float64]


NEXT_BLOCK = count(0, 3)  # new blocks for every example, as they share one store

# A VM: moves (minute, which of three blocks, vcpus), sorted and apart.
MOVE = st.tuples(st.integers(1, HOURS * 60 - 1), st.integers(0, 2), st.sampled_from([2.0, 4.0]))
MOVES = st.lists(MOVE, max_size=5, unique_by=lambda move: move[0]).map(sorted)


def placed(vm_id: str, slot: int, first: int, moves: Sequence[tuple[int, int, float]]) -> Vm:
    """A VM that is in block `first` first; in each block it has the slot of its own, as ingest gives it."""
    places = [(0, 0, 2.0), *moves]
    return Vm(
        Life(vm_id, 0),
        tuple(placement(vm_id, slot, from_minute=m, block=first + b, vcpus=v) for m, b, v in places),
    )


def put_minutes(stores: Stores, vm: Vm, minutes: Minutes) -> None:
    """Each placement's minutes into its block's slot, as 5-minute and hourly rows."""
    block_of = np.array([p.block if (p := owner_at(vm.placements, m)) else -1 for m in range(len(minutes))])
    rows = []
    for step_min in (5, 60):
        for start in range(0, len(minutes), step_min):
            here = slice(start, start + step_min)
            for block in np.unique(block_of[here]).tolist():
                mine = minutes[here][block_of[here] == block]
                number = int((~np.isnan(mine)).sum())
                values = {vm.current.slot: (float(np.nanmean(mine)), number)} if number else {}
                rows.append(block_row(values, step_min=step_min, block=block, start=start))
    stores.series.put(METRIC_CPU, rows)


def expected(minutes: Minutes, step_min: int) -> tuple[Minutes, npt.NDArray[np.int64]]:
    steps = minutes.reshape(-1, step_min)
    number = (~np.isnan(steps)).sum(axis=1)
    mean = np.divide(np.nansum(steps, axis=1), number, out=np.full(len(steps), np.nan), where=number > 0)
    return mean, number


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(MOVES, min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_a_history_is_what_the_vms_minutes_say_however_it_moved(
    stores: Stores, moves: list[list[tuple[int, int, float]]], seed: int
) -> None:
    rng, first = np.random.default_rng(seed), next(NEXT_BLOCK)
    vms = [placed(str(n), n, first, mine) for n, mine in enumerate(moves)]
    minutes = [np.where(rng.random(HOURS * 60) < 0.3, np.nan, rng.uniform(0, 100, HOURS * 60)) for _ in vms]
    for vm, values in zip(vms, minutes, strict=True):
        put_minutes(stores, vm, values)
    history = read_history(stores.series, vms, HOURS * 60, HOURS)
    for n, (vm, values) in enumerate(zip(vms, minutes, strict=True)):
        for step_min in (5, 60):
            mean, number = read_steps(stores.series, vm, step_min, Span(0, HOURS * 60))
            want_mean, want_number = expected(values, step_min)
            np.testing.assert_allclose(mean, want_mean, atol=0.0055)
            np.testing.assert_array_equal(number, want_number)
        old = np.arange(0, HOURS * 60, 60) < vm.regime_start()
        np.testing.assert_allclose(history.mean[n], np.where(old, np.nan, mean))
        np.testing.assert_array_equal(history.count[n], np.where(old, 0, number))
