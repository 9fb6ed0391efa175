"""The inventory's records: how they are written in the topic `vms`, and all of them in columns.

A record is JSON under the key `vm_id`; a key without a value takes the VM out of the inventory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import lru_cache
from math import isnan, nan

import msgspec
import numpy as np
import numpy.typing as npt

from models.blackout import parse_rule
from models.errors import BadInput
from models.fleet import MAX_ID_CHARS, Policy, VmRecord
from models.minutes import Minute, check_timezone, parse_iso
from stream.columns import Numbered, extended

LATEST: Minute = 100_000_000  # in the year 2160: what is beyond it counts seconds
MOST_VCPUS = 100_000
MOST_MEMORY_MB = 1_000_000_000  # what is beyond it counts bytes
UNTOLD: Minute = -(2**31)
_SURROGATE = re.compile("[\ud800-\udfff]")
_AT_ONCE = 1_024  # VMs for which room is made at a time
_REMEDY = "Correct the record and send it again."


class _Written(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A record as JSON. Minutes: epoch minutes UTC, or text in ISO 8601."""

    vm_id: str
    host: str
    since: int | str = msgspec.field(name="from")
    created_at: int | str | None = None
    vcpus: float | None = None
    memory_mb: int | None = None
    cluster: str = ""
    timezone: str = "UTC"
    blackout: tuple[str, ...] = ()
    max_load_pct: float | None = None
    opt_out: bool = False


FIELDS = _Written.__struct_encode_fields__
_DECODER = msgspec.json.Decoder(_Written)


def encode_record(record: VmRecord) -> tuple[bytes, bytes]:
    """Key and value of `record`; what it leaves open is left out. BadInput where it is no record that can be right."""
    policy = record.policy
    written = _Written(
        vm_id=record.vm_id,
        host=record.host,
        since=record.from_minute,
        created_at=record.created_at,
        vcpus=record.vcpus,
        memory_mb=record.memory_mb,
        cluster=record.cluster,
        timezone=policy.timezone,
        blackout=policy.blackout,
        max_load_pct=policy.max_load_pct,
        opt_out=policy.opt_out,
    )
    _record(written)
    return record.vm_id.encode(), msgspec.json.encode(written)


def decode_record(key: bytes | None, value: bytes | None) -> VmRecord | None:
    """The record of a message of the topic; None where it takes the VM out. BadInput for what cannot be right."""
    vm_id = decode_key(key)
    if value is None:
        return None
    try:
        written = _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(vm_id, value, str(error)) from None
    if written.vm_id != vm_id:
        raise _bad(vm_id, "vm_id", f"its key {vm_id!r}", repr(written.vm_id))
    return _record(written)


def decode_key(key: bytes | None) -> str:
    """The id of a message's VM. BadInput where it is none."""
    try:
        vm_id = "" if key is None else key.decode()
    except UnicodeDecodeError:
        raise _bad(repr(key), "key", "UTF-8", "other bytes") from None
    return _name(vm_id, "key", vm_id)


@lru_cache(maxsize=4096)
def check_policy(policy: Policy) -> Policy:
    """`policy` itself. BadInput where its timezone, a blackout rule or its load cannot be right."""
    check_timezone(policy.timezone)
    for rule in policy.blackout:
        parse_rule(rule)
    load = policy.max_load_pct
    if load is not None and not 0 <= load <= 100:
        raise BadInput("max_load_pct", expected="a number from 0 to 100", got=str(load), remedy=_REMEDY)
    return policy


class Inventory:
    """The newest record, by event time, of every VM, in columns. `ids` may be shared with who else keeps VMs by id."""

    def __init__(self, ids: Numbered[str] | None = None) -> None:
        self._ids: Numbered[str] = Numbered() if ids is None else ids
        self._hosts: Numbered[str] = Numbered()
        self._clusters: Numbered[str] = Numbered()
        self._policies: Numbered[Policy] = Numbered()
        self._used = self._known = 0
        self._host, self._from, self._created = (np.zeros(0, dtype=np.int32) for _ in range(3))
        self._cluster, self._policy = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32)
        self._vcpus, self._memory_mb = np.zeros(0, dtype=np.float64), np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return self._known

    def put(self, record: VmRecord) -> bool:
        """Keep a record that `decode_record` gave; False where a newer one is known already."""
        vm = self._ids.number(record.vm_id)
        if vm >= self._used:
            self._extend(vm + _AT_ONCE)
        known = self._host.item(vm) >= 0
        if known and record.from_minute < self._from.item(vm):
            return False
        self._known += not known
        self._host[vm] = self._hosts.number(record.host)
        self._from[vm] = record.from_minute
        self._created[vm] = UNTOLD if record.created_at is None else record.created_at
        self._cluster[vm] = self._clusters.number(record.cluster)
        self._policy[vm] = self._policies.number(record.policy)
        self._vcpus[vm] = nan if record.vcpus is None else record.vcpus
        self._memory_mb[vm] = -1 if record.memory_mb is None else record.memory_mb
        return True

    def forget(self, vm_id: str) -> None:
        """The VM is no longer in the inventory."""
        vm = self._ids.find(vm_id)
        if 0 <= vm < self._used and self._host.item(vm) >= 0:
            self._host[vm] = -1
            self._known -= 1

    def of_hosts(self, wanted: Callable[[Sequence[str]], npt.NDArray[np.bool_]]) -> Iterator[VmRecord]:
        """The records of some hosts. `wanted` is asked once: hosts[n] -> bool[n]."""
        hosts = self._hosts.things()
        chosen = np.append(wanted(hosts), False)  # the last one: of no record
        for vm in np.flatnonzero(chosen[self._host[: self._used]]).tolist():
            yield self._record(vm)

    def _record(self, vm: int) -> VmRecord:
        created_at, vcpus, memory_mb = self._created.item(vm), self._vcpus.item(vm), self._memory_mb.item(vm)
        return VmRecord(
            vm_id=self._ids[vm],
            host=self._hosts[self._host.item(vm)],
            from_minute=self._from.item(vm),
            created_at=None if created_at == UNTOLD else created_at,
            vcpus=None if isnan(vcpus) else vcpus,
            memory_mb=None if memory_mb < 0 else memory_mb,
            cluster=self._clusters[self._cluster.item(vm)],
            policy=self._policies[self._policy.item(vm)],
        )

    def _extend(self, size: int) -> None:
        used, self._used = self._used, size
        self._host = extended(self._host, used, size, -1)
        self._from = extended(self._from, used, size, 0)
        self._created = extended(self._created, used, size, 0)
        self._cluster = extended(self._cluster, used, size, 0)
        self._policy = extended(self._policy, used, size, 0)
        self._vcpus = extended(self._vcpus, used, size, 0)
        self._memory_mb = extended(self._memory_mb, used, size, 0)


def _record(written: _Written) -> VmRecord:
    """The record, where it can be right."""
    vm_id = _name(written.vm_id, "vm_id", written.vm_id)
    vcpus, memory_mb = written.vcpus, written.memory_mb
    if vcpus is not None and not 0 < vcpus <= MOST_VCPUS:
        raise _bad(vm_id, "vcpus", f"more than 0 and at most {MOST_VCPUS:,}", str(vcpus))
    if memory_mb is not None and not 0 < memory_mb <= MOST_MEMORY_MB:
        raise _bad(vm_id, "memory_mb", f"MiB, more than 0 and at most {MOST_MEMORY_MB:,}", str(memory_mb))
    try:
        policy = _policy(written.timezone, written.blackout, written.max_load_pct, opt_out=written.opt_out)
    except BadInput as error:
        raise _bad(vm_id, error.what, error.expected, error.got, error.remedy) from None
    return VmRecord(
        vm_id=vm_id,
        host=_name(vm_id, "host", written.host),
        from_minute=_minute(vm_id, "from", written.since),
        created_at=None if written.created_at is None else _minute(vm_id, "created_at", written.created_at),
        vcpus=vcpus,
        memory_mb=memory_mb,
        cluster=_text(vm_id, "cluster", written.cluster),
        policy=policy,
    )


@lru_cache(maxsize=4096)
def _policy(timezone: str, blackout: tuple[str, ...], max_load_pct: float | None, *, opt_out: bool) -> Policy:
    return check_policy(Policy(timezone, blackout, max_load_pct, opt_out))


def _minute(vm_id: str, field: str, given: int | str) -> Minute:
    try:
        minute = given if isinstance(given, int) else parse_iso(given)
    except BadInput as error:
        raise _bad(vm_id, field, error.expected, error.got, error.remedy) from None
    if abs(minute) > LATEST:
        raise _bad(vm_id, field, "epoch minutes, or text in ISO 8601", f"{given!r}, which no clock shows before 2160")
    return minute


def _name(vm_id: str, field: str, text: str) -> str:
    if not text:
        raise _bad(vm_id, field, "a name", "none")
    return _text(vm_id, field, text)


def _text(vm_id: str, field: str, text: str) -> str:
    if len(text) > MAX_ID_CHARS:
        raise _bad(vm_id, field, f"at most {MAX_ID_CHARS} characters", f"{len(text)}")
    if not text.isascii() and _SURROGATE.search(text):
        raise _bad(vm_id, field, "text that UTF-8 can carry", ascii(text))
    return text


def _unreadable(vm_id: str, value: bytes, detail: str) -> BadInput:
    """What to say of a value that is no record: of a field that nobody knows, the nearest that somebody does."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        fields = msgspec.json.decode(value)
        for name in sorted(fields.keys() - set(FIELDS)) if isinstance(fields, dict) else ():
            nearest = get_close_matches(name, FIELDS, n=1, cutoff=0.0)[0]
            return _bad(vm_id, f"field {name!r}", f"a known one, the nearest is {nearest}", repr(name))
    return _bad(vm_id, "value", f"a JSON object of {', '.join(FIELDS)}", detail)


def _bad(vm_id: str, what: str, expected: str, got: str, remedy: str = _REMEDY) -> BadInput:
    return BadInput(f"inventory record of {vm_id[:40]!r}, {what}", expected=expected, got=got, remedy=remedy)
