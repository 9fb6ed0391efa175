"""Telegraf's JSON: the totals of its libvirt plugin (on a hypervisor) or of its cpu plugin (inside a VM), each once.

A message is one metric, or a batch of them: {"metrics": [...]}. The declared unit chooses the plugin: core_seconds is
`libvirt_cpu` with its counter `time` in nanoseconds, percent is `cpu` with cpu=cpu-total and `usage_active` (without
it, 100 - `usage_idle`, which is the same). Rows of one core or vCPU (`libvirt_vcpu`, cpu=cpu0), rows of counters beside
the percents, and what other plugins say are left out by design and are not bad.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from models.errors import BadInput
from stream.wire_base import FIELDS, HOST, Bad, Decoded, Message, Unreadable, Wire, bad_of, time_reader
from stream.wire_json import decoded
from stream.wire_keys import Keys

NS_PER_S = 1e9
TOTAL = "cpu-total"

read_tags = msgspec.json.Decoder(dict[str, str]).decode


class Metric(msgspec.Struct, gc=False):
    """One metric; its tags and fields are read only where it is one that we take."""

    name: str = ""
    timestamp: int | float | str | None = None
    tags: msgspec.Raw = msgspec.Raw(b"{}")
    fields: msgspec.Raw = msgspec.Raw(b"{}")


class Output(Metric, gc=False):
    """What a message holds: a metric of its own, or several."""

    metrics: list[Metric] | None = None


@dataclass(frozen=True, slots=True)
class Plugin:
    """What is taken of a plugin: its measurement, the tags that name vm and host, and how a row's value is read.

    `value` gives None for a row that has none, such as the counters beside the percents.
    """

    measurement: str
    vm_tag: str
    host_tag: str
    value: Callable[[bytes | msgspec.Raw], float | None]


class TelegrafDecoder:
    """Metrics as Telegraf's output `kafka` writes them with data_format json."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._plugin, self._read, self._keys = _plugin(wire), time_reader(wire), keys
        self._decode = msgspec.json.Decoder(Output).decode

    def decode(self, messages: Sequence[Message]) -> Decoded:
        """The samples of the messages, in their order."""
        message: list[int] = []
        key: list[int] = []
        ts_s: list[int] = []
        value: list[float] = []
        bad: list[Bad] = []
        for index, one in enumerate(messages):
            try:
                rows = self._rows(one)
            except Exception as error:  # whatever the bytes are, they are this message's alone
                bad.append(bad_of(index, one, error))
                continue
            for number, second, cpu in rows:
                message.append(index)
                key.append(number)
                ts_s.append(second)
                value.append(cpu)
        return decoded(message, key, ts_s, value, bad)

    def _rows(self, message: Message) -> list[tuple[int, int, float]]:
        """(key, epoch second, value) of each row of a message that is taken."""
        output: Output = self._decode(message.value)  # type: ignore[arg-type]
        if output.metrics is None and not output.name:
            raise Unreadable(FIELDS, "neither a metric with a name nor a list of metrics")
        plugin, rows = self._plugin, []
        for metric in (output,) if output.metrics is None else output.metrics:
            if metric.name != plugin.measurement:
                continue
            tags = read_tags(metric.tags)
            if tags.get("cpu", TOTAL) != TOTAL:
                continue
            cpu = plugin.value(metric.fields)
            if cpu is not None:
                vm_id, host = _tag(tags, plugin.vm_tag, FIELDS), _tag(tags, plugin.host_tag, HOST)
                rows.append((self._keys.key(vm_id, host), self._read(metric.timestamp), cpu))
        return rows


def _tag(tags: dict[str, str], name: str, reason: str) -> str:
    if name not in tags:
        raise Unreadable(reason, f"the row has no tag {name}")
    return tags[name]


def _plugin(wire: Wire) -> Plugin:
    """The plugin that the declared unit means. BadInput for a unit that neither has."""
    if "ts" in wire.fields:
        raise BadInput(
            "fields of a telegraf source",
            expected="vm, host (names of tags) or cpu (name of a field)",
            got="ts",
            remedy="Leave it out: Telegraf's time is always its `timestamp`.",
        )
    vm, host, cpu = (wire.fields.get(field) for field in ("vm", "host", "cpu"))
    match wire.unit:
        case "core_seconds":
            return Plugin("libvirt_cpu", vm or "domain_name", host or "host", _reader(cpu or "time", NS_PER_S))
        case "percent":
            value = _usage if cpu is None else _reader(cpu, 1.0)
            return Plugin("cpu", vm or "host", host or "host", value)
    raise BadInput(
        "unit of a telegraf source",
        expected="core_seconds (its libvirt plugin) or percent (its cpu plugin)",
        got=repr(wire.unit),
        remedy="Declare the one whose plugin writes to this topic.",
    )


def _reader(field: str, per_unit: float) -> Callable[[bytes | msgspec.Raw], float | None]:
    """A reader of one field, divided by `per_unit`."""
    columns: list[Any] = [("value", float | None, None)]
    decode = msgspec.json.Decoder(msgspec.defstruct("Fields", columns, rename={"value": field}, gc=False)).decode

    def read(fields: bytes | msgspec.Raw) -> float | None:
        value: float | None = decode(fields).value  # type: ignore[attr-defined]
        return None if value is None else value / per_unit

    return read


class Usage(msgspec.Struct, gc=False):
    """The percents of the cpu plugin that say how busy the machine was."""

    usage_active: float | None = None
    usage_idle: float | None = None


_read_usage = msgspec.json.Decoder(Usage).decode


def _usage(fields: bytes | msgspec.Raw) -> float | None:
    usage = _read_usage(fields)
    if usage.usage_active is not None:
        return usage.usage_active
    return None if usage.usage_idle is None else 100.0 - usage.usage_idle
