"""A Prometheus remote-write request (protocol 1.0) becomes reports of hosts, as a source of host reports declares them.

The body is a protobuf message in one block of snappy (not its framed format). Of its series those of one metric are
taken; two of their labels name the VM and the host. A value that is no number (a staleness marker among them) is a gap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import cramjam
import msgspec
from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message,
    message_factory,
)

from models.errors import BadInput
from stream.settings_sections import Receive
from stream.wire_base import END_S, Unreadable, Wire, names_of, shown
from stream.wire_keys import check_id

MAX_BODY_BYTES = 4 * 2**20  # Prometheus sends some thousand samples at a time, well below a mebibyte
MAX_UNPACKED_BYTES = 16 * 2**20
MAX_VMS = 2_500  # of a report, so that no broker finds the message too large
MAX_REFUSED = 5  # invalid series that are named in an answer
NAME_LABEL = "__name__"
PER_MS = {"ms": 1, "us": 1_000, "ns": 1_000_000}

_MESSAGES: dict[str, list[tuple[str, int, str, bool]]] = {  # name, number, type, repeated; prometheus.WriteRequest
    "Label": [("name", 1, "STRING", False), ("value", 2, "STRING", False)],
    "Sample": [("value", 1, "DOUBLE", False), ("timestamp", 2, "INT64", False)],
    "TimeSeries": [("labels", 1, "Label", True), ("samples", 2, "Sample", True)],
    "WriteRequest": [("timeseries", 1, "TimeSeries", True)],
}


class TooLarge(BadInput):
    """More than is taken at once: 413."""


class Report(NamedTuple):
    """A message for the source's topic: its key is the host."""

    key: bytes
    value: bytes


class Written(NamedTuple):
    """What a request holds. `samples` were taken, `others` were of other metrics or gaps; `refused` says, for some,

    why a series or sample of the metric can never be taken.
    """

    reports: list[Report]
    samples: int
    others: int
    refused: list[str]


@dataclass(frozen=True, slots=True)
class Rule:
    """Which series are taken, and how their reports are written."""

    metric: str
    vm_label: str
    host_label: str
    names: dict[str, str]
    ts_of_ms: Callable[[int], int]
    encode: Callable[[object], bytes]


def rule_of(receive: Receive, wire: Wire) -> Rule:
    """The rule for a source of host reports. BadInput for a source of another format."""
    encoders: dict[str, Callable[[object], bytes]] = {
        "host-json": msgspec.json.encode,
        "host-msgpack": msgspec.msgpack.encode,
    }
    if wire.format not in encoders or wire.ts_unit == "iso":
        raise BadInput(
            "source of the receiver",
            expected="the format host-json or host-msgpack, and a ts_unit that is a number",
            got=f"{wire.format} with ts_unit {wire.ts_unit}",
            remedy="Declare a source of its own for what Prometheus writes, and name it in receive.source.",
        )
    per_ms = PER_MS.get(wire.ts_unit)
    ts_of_ms = (lambda ms: ms // 1_000) if per_ms is None else (lambda ms: ms * per_ms)
    labels = (receive.metric, receive.vm_label, receive.host_label)
    return Rule(*labels, names_of(wire), ts_of_ms, encoders[wire.format])


def read_write(body: bytes, rule: Rule) -> Written:
    """The reports of a request, one a host and time, in order of time.

    BadInput where the body can never be read, TooLarge where it is more than is unpacked at once.
    """
    cells: dict[tuple[int, str], dict[str, float]] = {}
    refused: list[str] = []
    samples = others = 0
    for series in _parse(_unpacked(body)).timeseries:
        try:
            place = _place(series.labels, rule)
        except Unreadable as error:
            refused.append(error.detail)
            continue
        for sample in series.samples:
            if place is None or math.isnan(sample.value):
                others += 1
            elif not 0 <= sample.timestamp < END_S * 1_000 or math.isinf(sample.value):
                refused.append(f"{shown(place[0])} at {sample.timestamp} ms: {sample.value}")
            else:
                vm_id, host = place
                cells.setdefault((sample.timestamp, host), {})[vm_id] = sample.value
                samples += 1
    reports = [report for at in sorted(cells) for report in _reports(at, cells[at], rule)]
    return Written(reports, samples, others, refused)


def _unpacked(body: bytes) -> bytes:
    """The protobuf message in a block of snappy, whose size is looked at before anything is unpacked."""
    try:
        size_bytes = cramjam.snappy.decompress_raw_len(body)
        if size_bytes > MAX_UNPACKED_BYTES:
            raise TooLarge(
                "request body",
                expected=f"at most {MAX_UNPACKED_BYTES} bytes when unpacked",
                got=str(size_bytes),
                remedy="Lower max_samples_per_send of the remote_write's queue_config.",
            )
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise _unreadable("a block of snappy (not its framed format)", error) from None


def _parse(packed: bytes) -> Any:  # noqa: ANN401 (the class is made at run time)
    try:
        return WRITE_REQUEST.FromString(packed)
    except message.DecodeError as error:
        raise _unreadable("a prometheus.WriteRequest of remote-write 1.0", error) from None


def _unreadable(expected: str, error: Exception) -> BadInput:
    remedy = "Point a remote_write of Prometheus here, with its protobuf_message at prometheus.WriteRequest."
    return BadInput("request body", expected=expected, got=shown(str(error)), remedy=remedy)


def _place(labels: Iterable[Any], rule: Rule) -> tuple[str, str] | None:
    """(vm, host) of a series; None for one of another metric. Unreadable where it does not name them."""
    named = {label.name: label.value for label in labels}
    if named.get(NAME_LABEL) != rule.metric:
        return None
    for label in (rule.vm_label, rule.host_label):
        check_id(f"label {label} =", named.get(label, ""))
    return named[rule.vm_label], named[rule.host_label]


def _reports(at: tuple[int, str], cells: dict[str, float], rule: Rule) -> list[Report]:
    ts_ms, host = at
    vms, names = list(cells), rule.names
    return [
        Report(
            host.encode(),
            rule.encode(
                {
                    names["host"]: host,
                    names["ts"]: rule.ts_of_ms(ts_ms),
                    names["vm"]: vms[first : first + MAX_VMS],
                    names["cpu"]: [cells[vm_id] for vm_id in vms[first : first + MAX_VMS]],
                }
            ),
        )
        for first in range(0, len(vms), MAX_VMS)
    ]


def _write_request() -> Any:  # noqa: ANN401
    """The class of prometheus.WriteRequest, as protocol 1.0 has it; fields that it does not name are left out."""
    file = descriptor_pb2.FileDescriptorProto(name="zhuge/remote.proto", package="prometheus", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        made = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            added = made.field.add(name=field, number=number)
            added.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in _MESSAGES:
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".prometheus.{kind}"
            else:
                added.type = getattr(kinds, f"TYPE_{kind}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("prometheus.WriteRequest"))


WRITE_REQUEST = _write_request()
