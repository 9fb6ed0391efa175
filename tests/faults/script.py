"""What the harness sends: a small fleet's host reports, minute by minute, each with what must become of it."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from models.minutes import HOUR_MIN, Minute

VCPUS = 4.0  # of every VM
LINGER_MIN = 3  # so long a third of the hosts that a VM has left still report it
IDLE_EVERY = 10  # every tenth VM is idle: 0.0 is a sample like others
PERCENT_STEPS = 10_001  # 0.00 to 100.00


class Message(NamedTuple):
    """One message as it is sent, and what must become of it.

    `minute`: the one of the fleet in which it is sent, whatever the message itself says. `taken`: its possible samples
    are in aggregates. `dead`: the reason of its dead letter, `late`: that of its letter in the late topic; empty: none.
    """

    key: str
    value: bytes | None
    minute: Minute
    taken: bool = True
    dead: str = ""
    late: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One host's report: the load of each of its VMs at `ts_s`."""

    host: str
    ts_s: int
    vms: Sequence[str]
    cpu: Sequence[float]

    def encode(self) -> bytes:
        """As the source `host-json` declares it."""
        return json.dumps({"host": self.host, "ts": self.ts_s, "vm": [*self.vms], "cpu": [*self.cpu]}).encode()


def load_pct(vm: str, minute: Minute) -> float:
    """What a VM does in a minute: 0.0 for the idle ones, else something that only this minute of this VM has."""
    if int(vm.removeprefix("vm-")) % IDLE_EVERY == 0:
        return 0.0
    return zlib.crc32(f"{vm} at {minute}".encode()) % PERCENT_STEPS / 100


class Fleet:
    """Which VM is on which host, and since when. VMs are dealt out to the hosts in turn.

    With `counters` the hosts say core seconds so far, else percent.
    """

    def __init__(self, vms: int, hosts: int, seed: int, *, counters: bool = False) -> None:
        self.counters = counters
        self._so_far: dict[str, tuple[Minute, float]] = {}
        self._rng = random.Random(seed)
        self._hosts = [f"host-{number}" for number in range(hosts)]
        self._stays: dict[str, list[tuple[Minute, str]]] = {
            f"vm-{number}": [(0, self._hosts[number % hosts])] for number in range(vms)
        }
        self._lingers: dict[str, tuple[str, range]] = {}

    @property
    def hosts(self) -> list[str]:
        """All of them, also those without a VM."""
        return self._hosts

    @property
    def vms(self) -> list[str]:
        """All of them."""
        return list(self._stays)

    def host_of(self, vm: str, minute: Minute) -> str:
        """Who owns the VM's minute: before it was there, whoever had it first."""
        return [host for since, host in self._stays[vm] if since <= max(minute, self._stays[vm][0][0])][-1]

    def move(self, vm: str, host: str, minute: Minute, *, linger_min: int = 0) -> None:
        """The VM is on `host` from `minute` on; the host that it left reports it for `linger_min` more."""
        self._lingers[vm] = (self.host_of(vm, minute), range(minute, minute + linger_min))
        self._stays[vm].append((minute, host))

    def move_one(self, minute: Minute, settled_min: int = HOUR_MIN) -> None:
        """Some VM that has been where it is for so long moves to another host."""
        settled = [vm for vm, stays in self._stays.items() if stays[-1][0] <= minute - settled_min]
        vm = self._rng.choice(settled)
        others = [host for host in self._hosts if host != self.host_of(vm, minute)]
        linger_min = 0 if self.counters else self._rng.choice((0, 0, LINGER_MIN))
        self.move(vm, self._rng.choice(others), minute, linger_min=linger_min)

    def add_one(self, minute: Minute) -> None:
        """A VM that was not there before."""
        self._stays[f"vm-{len(self._stays)}"] = [(minute, self._rng.choice(self._hosts))]

    def vms_of(self, host: str, minute: Minute) -> list[str]:
        """Who is on the host in that minute."""
        there = [vm for vm, stays in self._stays.items() if stays[0][0] <= minute]
        return [vm for vm in there if self.host_of(vm, minute) == host]

    def report(self, host: str, minute: Minute) -> Report:
        """What the host says of the minute, at some second of it."""
        ts_s = minute * 60 + self._rng.randrange(60)
        here = self.vms_of(host, minute)
        if self.counters:
            return Report(host, ts_s, here, [self._core_s(vm, ts_s) for vm in here])
        gone = [vm for vm, (left, while_) in self._lingers.items() if left == host and minute in while_]
        cpu = [*(load_pct(vm, minute) for vm in here), *(100 - load_pct(vm, minute) for vm in gone)]
        return Report(host, ts_s, [*here, *gone], cpu)

    def _core_s(self, vm: str, ts_s: int) -> float:
        """Core seconds of the VM from its first report's minute on; asked for in the order of time."""
        minute, second = divmod(ts_s, 60)
        since, total = self._so_far.get(vm, (minute, 0.0))
        total += sum(load_pct(vm, m) * VCPUS / 100 * 60 for m in range(since, minute))
        self._so_far[vm] = (minute, total)
        return total + load_pct(vm, minute) * VCPUS / 100 * second

    def messages(self, minute: Minute) -> list[Message]:
        """Every host's report of the minute."""
        reports = [self.report(host, minute) for host in self._hosts]
        return [Message(report.host, report.encode(), minute) for report in reports if report.vms]
