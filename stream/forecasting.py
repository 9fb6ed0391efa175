"""The forecast step: a closed hour becomes a forecast and a ranked day of windows for every VM of the fleet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.fleet import SLOTS, Policy, Vm, newest_lives
from models.forecast import (
    FORECAST_DTYPE,
    HISTORY_HOURS,
    NO_START,
    Floats,
    Forecaster,
    Reason,
    Rung,
)
from models.ladder import Served, State, climb, state_of
from models.live_shift import no_shift, shift_p90
from models.minutes import DAY_MIN, HOUR_MIN, STEP_MIN, Minute, ceil_to
from models.quiet import allowed_starts, default_starts
from models.records import pack
from stream.stores.history import read_history
from stream.stores.open import Stores
from stream.stores.protocols import ForecastRow

GROUP_BLOCKS = 16  # 40,000 VMs at a time: their history and features stay within some hundred megabytes


@dataclass(frozen=True, slots=True)
class Plan:
    """What to forecast with, and for when: from `end` (start of the first open hour), as of `now`.

    forecasters: highest rung first. `model` is the name of the set in force, `shift` how far live forecasts have moved
    its P90 (`models.live_shift`). `minutes`: length of the default window.
    """

    forecasters: Sequence[Forecaster]
    model: str
    end: Minute
    now: Minute
    stale_after_min: int = 180
    minutes: int = 10
    log_every_h: int = 6
    shift: Floats = field(default_factory=no_shift)

    @property
    def logged(self) -> bool:
        """Whether this hour's forecasts are kept for evaluation."""
        return self.end // HOUR_MIN % self.log_every_h == 0


@dataclass(slots=True)
class Outcome:
    """VMs by what became of them. `windows`: those with a default window; `refused` by reason.

    `clipped`: hours that the champion said outside of 0 to 100 %.
    """

    vms: int = 0
    forecasts: int = 0
    windows: int = 0
    rungs: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    clipped: int = 0


def forecast_fleet(stores: Stores, plan: Plan, progress: Callable[[int, int], None]) -> Outcome:
    """Forecast every VM's newest life and store it, a group of blocks at a time; `progress(done, all)` counts VMs."""
    newest = newest_lives(stores.catalogue.lives())
    outcome = Outcome()
    for blocks, vms in _groups(newest):
        records = _records(stores, plan, vms, outcome)
        rows = list(_rows(plan, blocks, vms, records))
        stores.forecasts.put(rows, log=plan.logged)
        progress(outcome.vms, len(newest))
    return outcome


def _groups(vms: Iterable[Vm]) -> Iterator[tuple[list[int], list[Vm]]]:
    by_block: dict[int, list[Vm]] = defaultdict(list)
    for vm in vms:
        by_block[vm.current.block].append(vm)
    blocks = sorted(by_block)
    for start in range(0, len(blocks), GROUP_BLOCKS):
        group = blocks[start : start + GROUP_BLOCKS]
        yield group, [vm for block in group for vm in by_block[block]]


def _records(stores: Stores, plan: Plan, vms: list[Vm], outcome: Outcome) -> npt.NDArray[np.void]:
    history = read_history(stores.series, vms, plan.end, HISTORY_HOURS)
    state = state_of(history)
    served = climb(history, plan.forecasters, state, plan.now, plan.stale_after_min)
    _mark_newborn(vms, plan, state, served)
    _shift_champion(served, plan.shift)
    records = pack(history, state, served)
    records["created_at"] = [vm.life.created_at for vm in vms]
    records["best"] = _best(plan, vms, records)
    _count(records, outcome)
    return records


def _mark_newborn(vms: list[Vm], plan: Plan, state: State, served: Served) -> None:
    """A VM too young to have had a whole hour is not one without data."""
    young = np.array([vm.life.created_at > plan.end - HOUR_MIN for vm in vms])
    served.reason[young & (state.hours == 0)] = Reason.SHORT_HISTORY


def _shift_champion(served: Served, shift: Floats) -> None:
    """What was learned from the champion's forecasts is true of no other rung."""
    rows, made = np.flatnonzero(served.rung == Rung.CHAMPION), served.prediction
    made.p90[rows] = shift_p90(made.p50[rows], made.p90[rows], made.mean[rows].mean(axis=1), shift)


def _best(plan: Plan, vms: list[Vm], records: npt.NDArray[np.void]) -> npt.NDArray[np.uint16]:
    """Start of each VM's default window within 24 hours, outside of its own blackout hours."""
    first_step, last_step = steps_ahead(plan.end, plan.now)
    steps = -(-plan.minutes // STEP_MIN)
    best = np.full(len(vms), NO_START, dtype=np.uint16)
    by_policy: dict[tuple[str, tuple[str, ...], bool], list[int]] = defaultdict(list)
    for index, vm in enumerate(vms):
        by_policy[_hours(vm.life.policy)].append(index)
    for (timezone, rules, opt_out), members in by_policy.items():
        if not opt_out:
            allowed = allowed_starts(plan.end, timezone, rules, steps)
            best[members] = default_starts(records["quiet"][members], allowed, steps, first_step, last_step)
    best[records["rung"] == Rung.REFUSED] = NO_START
    return best


def steps_ahead(end: Minute, now: Minute) -> tuple[int, int]:
    """The 5-minute steps [first, last) of a record from `end` on in which a window chosen at `now` may lie."""
    return (ceil_to(max(now, end), STEP_MIN) - end) // STEP_MIN, (now + DAY_MIN - end) // STEP_MIN


def _hours(policy: Policy) -> tuple[str, tuple[str, ...], bool]:
    return (policy.timezone if policy.blackout else "UTC", policy.blackout, policy.opt_out)


def _count(records: npt.NDArray[np.void], outcome: Outcome) -> None:
    outcome.vms += len(records)
    outcome.forecasts += int(np.count_nonzero(records["rung"] != Rung.REFUSED))
    outcome.windows += int(np.count_nonzero(records["best"] != NO_START))
    outcome.rungs.update(Rung(r).name.lower() for r in records["rung"].tolist())
    refused = records["reason"][records["rung"] == Rung.REFUSED]
    outcome.refused.update(Reason(r).name for r in refused.tolist())


def _rows(plan: Plan, blocks: list[int], vms: list[Vm], records: npt.NDArray[np.void]) -> Iterator[ForecastRow]:
    block_of = np.array([vm.current.block for vm in vms])
    slot_of = np.array([vm.current.slot for vm in vms])
    for block in blocks:
        filled = np.zeros(SLOTS, dtype=FORECAST_DTYPE)
        filled["rung"], filled["reason"], filled["best"] = Rung.REFUSED, Reason.UNKNOWN, NO_START
        mine = block_of == block
        filled[slot_of[mine]] = records[mine]
        yield ForecastRow(block, plan.end, plan.now, plan.model, filled)
