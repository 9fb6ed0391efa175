"""A trace as the messages of each minute: grouped as the source's format asks, in the order in which they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from models.errors import BadInput
from models.fleet import VmRecord
from models.minutes import Minute, Span
from stream.feed_encode import unit_factor
from stream.replay import open_trace
from stream.samples import Key, Trace

VMS_A_HOST = 25
MOST_ROWS = 5_000  # of a message about a partition: below a broker's 1 MiB

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


class Minutely(NamedTuple):
    """m messages of one minute and their n rows. first: int64[m + 1], message i has the rows first[i] to first[i + 1].

    host: int32[m], index into the fleet's hosts; of a message about a partition, of its first row. at_s: float64[m],
    when each arrives (epoch seconds). key: int32[n], ts_s: int64[n] by the hosts' clocks, value: float64[n] as written.
    """

    first: Ints
    host: Keys
    at_s: Floats
    key: Keys
    ts_s: Ints
    value: Floats


class Fleet(NamedTuple):
    """Who is in a trace. hosts: their names; host_of: int32[keys], each key's host."""

    trace: Trace
    keys: Sequence[Key]
    hosts: Sequence[str]
    host_of: Keys


def open_fleet(url: str, hosts: int | None, *, keep_times: bool = False) -> Fleet:
    """The trace behind `url`. A recorded one knows no hosts: its VMs are spread over `hosts`, else 25 on each.

    BadInput as of `stream.replay.open_trace`, and for `hosts` of a trace that has its own.
    """
    trace = open_trace(url, keep_times=keep_times)
    keys: Sequence[Key] = trace.keys
    if url.startswith("replay:"):
        count = -(-len(keys) // VMS_A_HOST) if hosts is None else hosts
        keys = [Key(key.vm_id, f"{key.host}-{crc32(key.vm_id.encode()) % count:04d}") for key in keys]
    elif hosts is not None:
        raise BadInput("--hosts", expected="a recorded trace", got=url, remedy="This one has hosts: leave it out.")
    names = sorted({key.host for key in keys})
    number = {name: index for index, name in enumerate(names)}
    return Fleet(trace, keys, names, np.array([number[key.host] for key in keys], dtype=np.int32))


def records_in(trace: Trace, span: Span) -> list[VmRecord]:
    """The inventory records that arrive within `span`, of each part in their order."""
    return [record for part in range(trace.parts) for record in trace.records(part, span)]


class Grouping(NamedTuple):
    """How rows become messages. by: sample, host or partition. unit: the source's. skew_s: int64[hosts]."""

    by: str
    unit: str
    skew_s: Ints


def messages_of(fleet: Fleet, minute: Minute, grouping: Grouping, partition_of: Keys) -> Minutely:
    """What arrives within `minute`, in the order of arrival. partition_of: int32[hosts], each host's partition."""
    trace = fleet.trace
    pieces = [trace.samples(part, Span(minute, minute + 1)) for part in range(trace.parts)]
    key = np.concatenate([piece.key for piece in pieces])
    ts_s = np.concatenate([piece.ts_s for piece in pieces])
    factor, decimals = unit_factor(grouping.unit)
    scale = 100.0 if trace.unit == "fraction" else 1.0
    value = np.concatenate([piece.value for piece in pieces]).astype(np.float64)
    host = fleet.host_of[key]
    bulk = grouping.by == "partition"
    whose = partition_of[host] if bulk else host
    # A host reports at a second of its own, also what comes late; a bulk message leaves when the minute ends.
    second = np.full(len(ts_s), 59) if bulk else ts_s % 60
    order = np.lexsort((ts_s, whose, second))
    key, ts_s, host, whose, second = key[order], ts_s[order], host[order], whose[order], second[order]
    first = _first(grouping.by, whose, ts_s)
    return Minutely(
        first,
        host[first[:-1]],
        minute * 60.0 + second[first[:-1]],
        key,
        ts_s + grouping.skew_s[host],
        np.round(value[order] * (scale * factor), decimals),
    )


def _first(by: str, whose: Keys, ts_s: Ints) -> Ints:
    """Where each message begins, and the end of the last."""
    count = len(whose)
    if by == "sample" or not count:
        return np.arange(count + 1)
    changes = np.diff(whose) != 0
    if by == "host":
        changes |= np.diff(ts_s) != 0
    starts = np.append(0, np.flatnonzero(changes) + 1)
    if by == "partition":
        sizes = np.diff(np.append(starts, count))
        starts = np.concatenate([np.arange(s, s + n, MOST_ROWS) for s, n in zip(starts, sizes, strict=True)])
    return np.append(starts, count).astype(np.int64)
