"""Telegraf's JSON, as its serialiser writes it: totals of the libvirt and the cpu plugin, each once."""

from __future__ import annotations

from typing import Any

import pytest

from models.errors import BadInput
from stream.wire import Keys, Wire, open_decoder
from tests.stream.wiring import T0, Said, as_json, reasons, said

LIBVIRT, CPU = Wire("telegraf", unit="core_seconds"), Wire("telegraf", unit="percent")


def metric(name: str, tags: dict[str, str], fields: dict[str, Any], ts: object = T0) -> dict[str, object]:
    return {"fields": fields, "name": name, "tags": {"host": "node-1", **tags}, "timestamp": ts}


TOTAL = metric("libvirt_cpu", {"domain_name": "vm-1"}, {"time": 2_500_000_000, "user": 1, "system": 2})
OTHERS = [
    metric("libvirt_vcpu", {"domain_name": "vm-1", "vcpu_id": "0"}, {"time": 9, "state": 1, "halted": "no"}),
    metric("libvirt_vcpu_total", {"domain_name": "vm-1"}, {"current": 2, "maximum": 2}),
    metric("libvirt_cpu_cache_monitor_total", {"domain_name": "vm-1"}, {"count": 0}),
    metric("libvirt_state", {"domain_name": "vm-1"}, {"state": 1, "reason": 5}),
    metric("libvirt_block", {"domain_name": "vm-1", "block_id": "0"}, {"path": "/x", "time": "text"}),
    metric("procstat", {}, {"time": {"nested": [1]}}),
]
ACTIVE = metric("cpu", {"cpu": "cpu-total"}, {"usage_active": 12.5, "usage_idle": 87.5, "usage_user": 10})
IDLE = metric("cpu", {"cpu": "cpu-total"}, {"usage_idle": 100, "usage_user": 0})
TIMES = metric("cpu", {"cpu": "cpu-total"}, {"time_user": 5.5, "time_active": 9})
CORE = metric("cpu", {"cpu": "cpu0"}, {"usage_active": 99, "usage_idle": 1})


def test_the_counter_of_a_domain_becomes_core_seconds() -> None:
    assert said(LIBVIRT, [as_json(TOTAL)]) == ([Said(0, "vm-1", "node-1", T0, 2.5)], [])


def test_of_a_batch_only_totals_are_taken_and_nothing_is_bad() -> None:
    batch = {"metrics": [*OTHERS, TOTAL, CORE, ACTIVE]}
    assert said(LIBVIRT, [as_json(batch), *map(as_json, OTHERS)]) == ([Said(0, "vm-1", "node-1", T0, 2.5)], [])


def test_the_cpu_plugin_inside_a_vm_gives_each_total_once() -> None:
    batch = {"metrics": [TIMES, ACTIVE, CORE, TOTAL]}
    rows, bad = said(CPU, [as_json(batch), as_json(IDLE), as_json(TIMES), as_json(CORE)])
    assert rows == [Said(0, "node-1", "node-1", T0, 12.5), Said(1, "node-1", "node-1", T0, 0.0)]
    assert bad == []


def test_other_tags_and_fields_may_be_named() -> None:
    wire = Wire("telegraf", unit="percent", fields={"vm": "uuid", "host": "rack host", "cpu": "usage_user"})
    one = metric("cpu", {"cpu": "cpu-total", "uuid": "u", "rack host": "n"}, {"usage_user": 3, "usage_active": 4})
    assert said(wire, [as_json(one)]) == ([Said(0, "u", "n", T0, 3.0)], [])
    wire = Wire("telegraf", unit="core_seconds", fields={"cpu": "user"})
    assert said(wire, [as_json(TOTAL)])[0][0].value == pytest.approx(1e-9)


def test_its_times_may_be_in_other_units_or_be_texts() -> None:
    millis = metric("libvirt_cpu", {"domain_name": "a"}, {"time": 0}, T0 * 1000)
    assert said(Wire("telegraf", "core_seconds", ts_unit="ms"), [as_json(millis)])[0][0].ts_s == T0
    text = metric("libvirt_cpu", {"domain_name": "a"}, {"time": 0}, "2026-01-01T00:00:00Z")
    assert said(Wire("telegraf", "core_seconds", ts_unit="iso"), [as_json(text)])[0][0].ts_s == T0
    assert reasons(said(LIBVIRT, [as_json(text)])[1]) == [(0, "bad_time")]
    assert reasons(said(Wire("telegraf", "core_seconds", ts_unit="iso"), [as_json(millis)])[1]) == [(0, "bad_time")]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        ({}, "wrong_fields"),
        ({"metrics": 5}, "wrong_fields"),
        ({"metrics": [TOTAL, 5]}, "wrong_fields"),
        ({"metrics": [TOTAL, {**TOTAL, "timestamp": None}]}, "bad_time"),
        ({**TOTAL, "tags": {"host": "n"}}, "wrong_fields"),
        ({**TOTAL, "tags": {"domain_name": "vm-1"}}, "no_host"),
        ({**TOTAL, "tags": {"domain_name": "", "host": "n"}}, "bad_id"),
        ({**TOTAL, "tags": ["host"]}, "wrong_fields"),
        ({**TOTAL, "fields": {"time": "x"}}, "wrong_fields"),
        ({**TOTAL, "fields": {"time": 10**400}}, "wrong_fields"),
    ],
)
def test_a_bad_row_makes_its_message_bad_alone(one: object, reason: str) -> None:
    rows, bad = said(LIBVIRT, [as_json(TOTAL), as_json(one), as_json(TOTAL)])
    assert reasons(bad) == [(1, reason)]
    assert [row.message for row in rows] == [0, 2]


@pytest.mark.parametrize("wire", [Wire("telegraf", unit="fraction"), Wire("telegraf", fields={"ts": "time"})])
def test_what_neither_plugin_has_is_refused_at_once(wire: Wire) -> None:
    with pytest.raises(BadInput, match="of a telegraf source"):
        open_decoder(wire, Keys())
