"""History follows placements: what is known of VMs, patched together from every block where they were kept.

A step shared by two placements is merged by count. What a slot held before a VM's tenure of it, or after, is not its.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.fleet import FOREVER, Vm
from models.forecast import History
from models.minutes import DAY_MIN, DAY_STEPS, HOUR_MIN, STEP_MIN, Minute, Span
from stream.stores.protocols import METRIC_CPU, Cells, Series

HOUR_STEPS = HOUR_MIN // STEP_MIN
EARLIER_MIN = 128  # as far back as the minute ring reaches: a slot is not let again before

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


class _Pieces(NamedTuple):
    """Placements as columns, int64[k], sorted by (VM, time): the VM's row, its place, and its tenure [start, until).

    `age`: 0 for a VM's current placement, 1 for the one before it, and so on. `newest`: 1 where nobody had the place
    after it, else 0.
    """

    vm: Ints
    age: Ints
    block: Ints
    slot: Ints
    start: Ints
    until: Ints
    newest: Ints

    def where(self, chosen: npt.NDArray[np.bool_] | Ints) -> _Pieces:
        return _Pieces(*(column[chosen] for column in self))

    def by_block(self) -> Iterator[tuple[int, _Pieces]]:
        """Each block with its pieces, by block."""
        blocks, where, number = np.unique(self.block, return_inverse=True, return_counts=True)
        order = np.argsort(where, kind="stable")
        for block, chosen in zip(blocks, np.split(order, np.cumsum(number))[:-1], strict=True):
            yield int(block), self.where(chosen)


def read_history(series: Series, vms: Sequence[Vm], end: Minute, hours: int) -> History:
    """The `hours` hours before `end`, a whole hour, of every VM, in their order.

    NaN are hours before the VM's first placement, and those that began before its regime did (a resize starts one).
    `kind` is a code, local to this call, of cluster and size: vcpus to the next power of two; so is `host`. Hours of
    the day profile that the current placement's block does not know yet come from the previous placement's.
    """
    span = Span(end - hours * HOUR_MIN, end)
    pieces = _pieces(vms, HOUR_MIN)
    mean, count = _patched(series, pieces, len(vms), HOUR_MIN, span)
    regime = np.fromiter((vm.regime_start() for vm in vms), np.int64, len(vms))
    late = np.flatnonzero(regime > span.start)
    before = np.arange(*span, HOUR_MIN) < regime[late, None]
    mean[late] = np.where(before, np.float32(np.nan), mean[late])
    count[late] = np.where(before, 0, count[late])
    vcpus = np.array([np.nan if (v := vm.current.vcpus) is None else v for vm in vms], np.float32)
    shape, scale = _profiles(series, pieces, len(vms))
    return History(
        end=end,
        mean=mean,
        count=count,
        interval_min=np.fromiter((vm.life.interval_min for vm in vms), np.uint8, len(vms)),
        vcpus=vcpus,
        kind=_kinds(vcpus, [vm.life.cluster for vm in vms]),
        host=_codes([vm.current.host for vm in vms]),
        created_at=np.fromiter((vm.life.created_at for vm in vms), np.int64, len(vms)),
        timezones=tuple(vm.life.policy.timezone for vm in vms),
        shape=shape,
        scale=scale,
    )


def read_steps(series: Series, vm: Vm, step_min: int, span: Span) -> tuple[Floats, Counts]:
    """One VM's mean float32[steps] (NaN = gap) and count uint8[steps] over `span`, its earlier sizes included."""
    mean, count = read_means(series, [vm], step_min, span)
    return mean[0], count[0]


def read_means(series: Series, vms: Sequence[Vm], step_min: int, span: Span) -> tuple[Floats, Counts]:
    """Each VM's mean float32[n, steps] (NaN = gap) and count uint8[n, steps] over `span`, as `read_steps`."""
    return _patched(series, _pieces(vms, step_min), len(vms), step_min, span)


def _pieces(vms: Sequence[Vm], step_min: int) -> _Pieces:
    flat = [placement for vm in vms for placement in vm.placements]
    number = np.fromiter((len(vm.placements) for vm in vms), np.int64, len(vms))
    vm = np.repeat(np.arange(len(vms)), number)
    age = np.repeat(np.cumsum(number), number) - 1 - np.arange(len(flat))
    block = np.fromiter((p.block for p in flat), np.int64, len(flat))
    slot = np.fromiter((p.slot for p in flat), np.int64, len(flat))
    start = np.fromiter((p.from_minute for p in flat), np.int64, len(flat))
    until = np.where(age > 0, np.append(start[1:], FOREVER), FOREVER)
    # Where a slot is let again (to another VM, or to the same one, resized or back), the step in which the new tenure
    # begins is the new one's alone: what the slot holds for it must not be counted twice.
    order = np.lexsort((start, slot, block))
    older, newer = order[:-1], order[1:]
    again = (block[older] == block[newer]) & (slot[older] == slot[newer])
    older, newer = older[again], newer[again]
    if (start[older] == start[newer]).any():
        raise ValueError("VMs of a history: expected each once, got one twice")
    until[older] = np.minimum(until[older], start[newer] // step_min * step_min)
    # What came late, or out of order, before the first minute that was seen of a life is its first placement's too.
    start = np.where(age == np.repeat(number, number) - 1, start - EARLIER_MIN, start)
    newest = np.ones(len(flat), np.int64)
    newest[older] = 0
    return _Pieces(vm, age, block, slot, start, until, newest)


def _patched(series: Series, pieces: _Pieces, rows: int, step_min: int, span: Span) -> tuple[Floats, Counts]:
    """mean float32[rows, steps] and count uint8[rows, steps] over `span`."""
    mean = np.full((rows, (span.end - span.start) // step_min), np.nan, np.float32)
    count = np.zeros(mean.shape, np.uint8)
    pieces = pieces.where((pieces.start < span.end) & (pieces.until > span.start))
    alone = np.bincount(pieces.vm, minlength=rows) == 1
    for block, here in pieces.by_block():  # block by block: the fleet's rectangle is never held twice
        cells = series.read(METRIC_CPU, step_min, [block], span)
        whole = here.where(alone[here.vm])
        mean[whole.vm], count[whole.vm] = _tenure(cells, whole, step_min, span)
        moved = here.where(~alone[here.vm])
        for age in np.unique(moved.age):  # of one age, a VM has one piece
            piece = moved.where(moved.age == age)
            new_mean, new_count = _tenure(cells, piece, step_min, span)
            mean[piece.vm], count[piece.vm] = _merge(mean[piece.vm], count[piece.vm], new_mean, new_count, step_min)
    return mean, count


def _tenure(cells: Cells, pieces: _Pieces, step_min: int, span: Span) -> tuple[Floats, Counts]:
    """mean float32[k, steps] and count uint8[k, steps] of k pieces of one block; gaps outside their tenure."""
    mean, count = cells.mean[:, pieces.slot].T, cells.count[:, pieces.slot].T
    cut = np.flatnonzero((pieces.start > span.start) | (pieces.until < span.end))
    steps = np.arange(*span, step_min)
    foreign = (steps + step_min <= pieces.start[cut, None]) | (steps >= pieces.until[cut, None])
    mean[cut] = np.where(foreign, np.float32(np.nan), mean[cut])
    count[cut] = np.where(foreign, 0, count[cut])
    return mean, count


def _merge(mean: Floats, count: Counts, new_mean: Floats, new_count: Counts, step_min: int) -> tuple[Floats, Counts]:
    """Both together: where both have samples the mean is weighted by their counts.

    A minute has one owner. Where the old host's later reports were stored nevertheless (by a process that heard of the
    move after its hours were past re-opening) the counts are more than the step has minutes, and are cut to them.
    """
    total = np.minimum(count.astype(np.uint16) + new_count, step_min).astype(np.uint8)
    both = (count > 0) & (new_count > 0)
    weight = np.float32(1) * count[both] + new_count[both]
    merged = np.where(new_count > 0, new_mean, mean)
    merged[both] = (mean[both] * count[both] + new_mean[both] * new_count[both]) / weight
    return merged, total


def _codes(names: Sequence[str]) -> npt.NDArray[np.int32]:
    """A code from 0 up for each name; the empty name, which nobody knows, is -1."""
    known: dict[str, int] = {}
    return np.fromiter((known.setdefault(name, len(known)) if name else -1 for name in names), np.int32, len(names))


def _kinds(vcpus: Floats, clusters: Sequence[str]) -> npt.NDArray[np.int32]:
    """A code from 0 up for each (cluster, vcpus to the next power of two); unknown vcpus are a size of their own."""
    size = np.nan_to_num(np.ceil(np.log2(np.maximum(vcpus, 1))), nan=-1).astype(np.int64)
    pairs = _codes(clusters) * np.int64(1024) + size  # log2 of a float32 is at most 128
    codes: Ints = np.unique(pairs, return_inverse=True)[1]
    return codes.astype(np.int32)


def _profiles(series: Series, pieces: _Pieces, rows: int) -> tuple[npt.NDArray[np.int8], Floats]:
    """shape int8[rows, 288] and scale float32[rows, 24]; see `read_history`."""
    shape = np.zeros((rows, DAY_STEPS), np.int8)
    scale = np.zeros((rows, DAY_MIN // HOUR_MIN), np.float32)
    for age in (0, 1):
        kept = (pieces.age == age) & (pieces.newest == 1)  # a place let again has another VM's profile by now
        for block, here in pieces.where(kept).by_block():
            for row in series.profiles(METRIC_CPU, [block]):
                hour = row.hour_of_day
                unknown = scale[here.vm, hour] == 0
                some = here.where(unknown)
                scale[some.vm, hour] = row.scale[some.slot]
                shape[some.vm, hour * HOUR_STEPS : (hour + 1) * HOUR_STEPS] = row.shape[:, some.slot].T
    return shape, scale
