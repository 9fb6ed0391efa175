"""Who lives in the synthetic fleet: ids, kinds, hosts, inventory, and the numbers that drive each VM's load.

All is drawn once from the seed; `stream.synthetic_load` turns the numbers into minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.fleet import FOREVER, Policy, VmRecord
from models.minutes import DAY_MIN, HOUR_MIN, Minute, Span

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Range = tuple[float, float]

ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu")
CLUSTERS = ("east-a", "east-b", "north-a", "west-a")
ODD_IDS = ("web 01 (blue)", "dc1/rack7/vm-42", "vm-🚀", "数据库-主", "100%+a&b=c?#")
BLACKOUTS = (("09:00-18:00",), ("mon-fri 08:00-20:00",), ("22:00-06:00",), ("00:00-04:00", "12:00-14:00"))
VMS_PER_HOST = 25
KNOT_MIN = 15  # every zone's offset is whole quarters of an hour


class Kind(NamedTuple):
    """A share of the fleet, and the ranges (points of load) from which each of its VMs draws."""

    share: float
    level: Range = (4, 16)
    swing: Range = (15, 45)  # the day's hump above the level, at the local peak
    noise: Range = (1, 3)  # standard deviation of the wander from hour to hour
    drift: Range = (0, 0)  # amplitude of the level's move over days
    burst: Range = (0, 0)  # quarters of an hour that nobody can foresee
    spike: Range = (0, 0)  # the first minutes of each hour
    batch: Range = (0, 0)  # a nightly job
    lost_hours: float = 0.0  # share of whole hours without samples
    lost_minutes: float = 0.0  # share of single minutes without


KINDS = {
    "diurnal": Kind(0.30),
    "weekly": Kind(0.12, swing=(25, 55)),  # one or two busy weekdays
    "cron": Kind(0.14, level=(2, 10), swing=(0, 10), noise=(0.5, 1.5), spike=(20, 55), batch=(25, 60)),
    "drift": Kind(0.08, level=(30, 45), swing=(5, 18), drift=(12, 24)),
    "bursty": Kind(0.08, level=(4, 12), swing=(0, 5), burst=(25, 55)),
    "idle": Kind(0.07, level=(0, 0), swing=(0, 0), noise=(0, 0)),
    "busy": Kind(0.03, level=(88, 98), swing=(0, 0), noise=(0.4, 0.8)),
    "newborn": Kind(0.05),
    "gappy": Kind(0.03, lost_hours=0.05, lost_minutes=0.04),
    "sparse": Kind(0.015, lost_hours=0.94, lost_minutes=0.5),  # too little to forecast from
    "stale": Kind(0.015),  # went silent a day ago
    "resized": Kind(0.025, swing=(10, 25)),
    "moved": Kind(0.04),
    "reused": Kind(0.005),  # one id, two lives, more than 7 days of silence between
}


class Load(NamedTuple):
    """What drives n VMs' load: float32[n] in points where nothing else is said.

    zone: int64[n], index into ZONES. shape: float32[96, n], the day's hump by local quarter of an hour, peak 1.
    weekday: float32[7, n], its factor, Monday first. period_days, phase (of a turn): the drift's sine.
    spike_min, batch_start_min (local), batch_len_min: int64[n], minutes. From resized_at on (int64[n], epoch minute;
    FOREVER: never) the percent is multiplied by resize_factor.
    """

    zone: Ints
    level: Floats
    swing: Floats
    noise: Floats
    drift: Floats
    burst: Floats
    spike: Floats
    batch: Floats
    lost_hours: Floats
    lost_minutes: Floats
    shape: Floats
    weekday: Floats
    period_days: Floats
    phase: Floats
    spike_min: Ints
    batch_start_min: Ints
    batch_len_min: Ints
    resized_at: Ints
    resize_factor: Floats


class Stay(NamedTuple):
    """VM number `vm` reports from `host` within `span`."""

    vm: int
    host: str
    span: Span


@dataclass(frozen=True, slots=True)
class Fleet:
    """n VMs: id and kind of each, their load, where they report from, and (minute of arrival, inventory record)."""

    ids: tuple[str, ...]
    kinds: tuple[str, ...]
    load: Load
    stays: tuple[Stay, ...]
    inventory: tuple[tuple[Minute, VmRecord], ...]


def make_fleet(vms: int, seed: int, span: Span) -> Fleet:
    """The fleet of this seed as it is at `span.end` (the demo's now), with a past that begins at `span.start`."""
    rng = np.random.default_rng(seed)
    edges = np.rint(np.cumsum([kind.share for kind in KINDS.values()]) * vms).astype(int)
    kinds = rng.permutation(np.repeat(list(KINDS), np.diff(edges, prepend=0)))
    ids = [f"vm-{number:06d}" for number in range(vms)]
    for number, odd in zip(np.flatnonzero(kinds == "diurnal"), ODD_IDS, strict=False):
        ids[number] = odd
    load = _draw_load(rng, kinds, span)
    stays = _draw_stays(rng, kinds, span)
    inventory = _draw_inventory(rng, ids, kinds, load, stays, span)
    return Fleet(tuple(ids), tuple(str(kind) for kind in kinds), load, tuple(stays), tuple(inventory))


def _draw_load(rng: np.random.Generator, kinds: npt.NDArray[np.str_], span: Span) -> Load:
    n = len(kinds)
    points = {
        field: rng.uniform(*np.array([getattr(KINDS[kind], field) for kind in kinds]).T).astype(np.float32)
        for field in ("level", "swing", "noise", "drift", "burst", "spike", "batch")
    }
    resized = kinds == "resized"
    return Load(
        zone=rng.integers(len(ZONES), size=n),
        **points,
        lost_hours=np.array([KINDS[kind].lost_hours for kind in kinds], dtype=np.float32),
        lost_minutes=np.array([KINDS[kind].lost_minutes for kind in kinds], dtype=np.float32),
        shape=_day_shapes(rng, n),
        weekday=_weekday_factors(rng, kinds),
        period_days=rng.uniform(5, 12, n).astype(np.float32),
        phase=rng.uniform(0, 1, n).astype(np.float32),
        spike_min=rng.integers(3, 7, n),
        batch_start_min=rng.integers(0, 5 * 4, n) * KNOT_MIN,
        batch_len_min=rng.integers(30, 91, n),
        resized_at=np.where(resized, _ago(rng, span, n), FOREVER),
        resize_factor=np.where(resized, rng.choice([0.5, 2.0], n), 1.0).astype(np.float32),
    )


def _day_shapes(rng: np.random.Generator, n: int) -> Floats:
    """A von Mises hump around each VM's local peak: office hours for four of five, the evening for the rest."""
    peak = np.where(rng.random(n) < 0.8, rng.uniform(10, 16, n), rng.uniform(19, 22, n)) / 24
    sharpness = rng.uniform(1.5, 5, n)
    quarter = np.arange(DAY_MIN // KNOT_MIN)[:, None] * KNOT_MIN / DAY_MIN
    hump: Floats = np.exp(sharpness * (np.cos(2 * np.pi * (quarter - peak)) - 1)).astype(np.float32)
    return hump


def _weekday_factors(rng: np.random.Generator, kinds: npt.NDArray[np.str_]) -> Floats:
    n = len(kinds)
    factors = np.ones((7, n), dtype=np.float32)
    factors[5:] = rng.uniform(0.3, 0.8, n)
    quiet = rng.uniform(0.05, 0.25, (7, n))
    busy = np.zeros((7, n), dtype=bool)
    busy[rng.integers(5, size=(2, n)), np.arange(n)] = True
    return np.where(kinds == "weekly", np.where(busy, 1.0, quiet), factors).astype(np.float32)


def _ago(rng: np.random.Generator, span: Span, n: int) -> Ints:
    """Minutes in the later two thirds of the past, the last day left out where the past is long."""
    past = span.end - span.start
    return span.end - (past * rng.uniform(0.07, 0.65, n)).astype(np.int64)


def _draw_stays(rng: np.random.Generator, kinds: npt.NDArray[np.str_], span: Span) -> list[Stay]:
    n = len(kinds)
    hosts = max(2, -(-n // VMS_PER_HOST))
    home = rng.permutation(n) // VMS_PER_HOST
    other = (home + rng.integers(1, hosts, n)) % hosts
    moved_at = _ago(rng, span, n)
    silent_at = span.end - rng.integers(24 * HOUR_MIN, 36 * HOUR_MIN, n)
    age = np.where(rng.random(n) < 0.15, rng.integers(5, HOUR_MIN, n), rng.integers(HOUR_MIN, 60 * HOUR_MIN, n))
    born_again = span.end - rng.integers(12 * HOUR_MIN, 36 * HOUR_MIN, n)
    stays = []
    for vm, kind in enumerate(kinds):
        first, second = f"host-{home[vm]:04d}", f"host-{other[vm]:04d}"
        cuts = {
            "newborn": [(first, span.end - age[vm], FOREVER)],
            "stale": [(first, span.start, silent_at[vm])],
            "moved": [(first, span.start, moved_at[vm]), (second, moved_at[vm], FOREVER)],
            "reused": [(first, span.start, born_again[vm] - 8 * DAY_MIN), (second, born_again[vm], FOREVER)],
        }.get(str(kind), [(first, span.start, FOREVER)])
        stays += [Stay(vm, host, Span(max(int(start), span.start), int(end))) for host, start, end in cuts]
    return stays


def _draw_inventory(
    rng: np.random.Generator,
    ids: list[str],
    kinds: npt.NDArray[np.str_],
    load: Load,
    stays: list[Stay],
    span: Span,
) -> list[tuple[Minute, VmRecord]]:
    known = rng.random(len(ids)) < 0.97
    known[kinds == "resized"] = True
    known[np.flatnonzero(kinds == "reused")[::2]] = False
    lives: dict[int, VmRecord] = {}
    found = []
    for stay in stays:
        if not known[stay.vm] or (kinds[stay.vm] == "moved" and stay.vm in lives):
            continue  # nobody tells the inventory of a move: the new host's reports do
        born = stay.span.start if stay.span.start > span.start else span.start - int(rng.integers(30, 900)) * DAY_MIN
        record = _draw_record(rng, ids[stay.vm], stay.host, born, ZONES[load.zone[stay.vm]])
        lives[stay.vm] = record
        found.append((stay.span.start, record))
    found += _resizes(load, lives)
    return sorted(found, key=lambda pair: pair[0])


def _draw_record(rng: np.random.Generator, vm_id: str, host: str, born: Minute, timezone: str) -> VmRecord:
    vcpus = float(rng.choice([2, 4, 8, 16], p=[0.4, 0.3, 0.2, 0.1]))
    policy = Policy(
        timezone=timezone,
        blackout=BLACKOUTS[rng.integers(len(BLACKOUTS))] if rng.random() < 0.1 else (),
        max_load_pct=float(rng.choice([20, 35, 60])) if rng.random() < 0.05 else None,
        opt_out=bool(rng.random() < 0.005),
    )
    memory_mb = int(vcpus) * 1024 * int(rng.choice([2, 4, 8]))
    return VmRecord(vm_id, host, born, born, vcpus, memory_mb, CLUSTERS[int(host[-4:]) % len(CLUSTERS)], policy)


def _resizes(load: Load, lives: dict[int, VmRecord]) -> Iterator[tuple[Minute, VmRecord]]:
    """The record of each resize: the work stays the same, so half the percent means twice the vcpus."""
    for vm in np.flatnonzero(load.resized_at < FOREVER):
        at, before = int(load.resized_at[vm]), lives[int(vm)]
        vcpus = (before.vcpus or 1.0) / float(load.resize_factor[vm])
        yield at, replace(before, from_minute=at, created_at=None, vcpus=vcpus)
