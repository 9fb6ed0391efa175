"""Records of the inventory: written, read and refused; all of them in columns, the newest by event time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadInput
from models.fleet import Policy, VmRecord
from models.minutes import parse_iso
from stream.columns import Numbered
from stream.inventory import FIELDS, LATEST, Inventory, decode_key, decode_record, encode_record

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
MINUTES = st.integers(-LATEST, LATEST)
POLICIES = st.builds(
    Policy,
    st.sampled_from(["UTC", "Asia/Kathmandu"]),
    st.lists(st.sampled_from(["22:00-06:00", "mon-fri 08:00-18:00"]), max_size=2).map(tuple),
    st.one_of(st.none(), st.floats(0, 100)),
    st.booleans(),
)
RECORDS = st.builds(
    VmRecord,
    TEXT,
    TEXT,
    MINUTES,
    st.one_of(st.none(), MINUTES),
    st.one_of(st.none(), st.floats(0.01, 1000)),
    st.one_of(st.none(), st.integers(1, 10**9)),
    st.text("ab\u5317", max_size=3),
    POLICIES,
)


def decoded(**fields: object) -> VmRecord | None:
    fields = {"vm_id": "vm-1", "host": "h", "from": 5} | fields
    return decode_record(b"vm-1", json.dumps(fields).encode())


def every(hosts: Sequence[str]) -> npt.NDArray[np.bool_]:
    return np.ones(len(hosts), dtype=np.bool_)


@given(RECORDS)
def test_a_record_comes_back_as_it_was_written(record: VmRecord) -> None:
    assert decode_record(*encode_record(record)) == record


def test_what_a_record_leaves_open_is_left_out() -> None:
    key, value = encode_record(VmRecord("vm-1", "h", 5, vcpus=4))
    assert (key, json.loads(value)) == (b"vm-1", {"vm_id": "vm-1", "host": "h", "from": 5, "vcpus": 4})
    assert decoded() == VmRecord("vm-1", "h", 5)


def test_minutes_may_be_text() -> None:
    told = {"from": "2026-03-10T12:00+05:45", "created_at": "2026-03-01T00:00Z"}
    assert decoded(**told) == VmRecord("vm-1", "h", parse_iso("2026-03-10T06:15Z"), parse_iso("2026-03-01T00:00Z"))


def test_a_key_without_a_value_takes_the_vm_out() -> None:
    assert decode_record("北京".encode(), None) is None
    assert decode_key("北京".encode()) == "北京"


def test_the_fields_are_the_ones_that_the_documents_name() -> None:
    named = ("vm_id", "host", "from", "created_at", "vcpus", "memory_mb", "cluster", "timezone", "blackout")
    assert (*named, "max_load_pct", "opt_out") == FIELDS


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"hsot": "h"}, "field 'hsot': expected a known one, the nearest is host"),
        ({"vcpu": 4}, "the nearest is vcpus"),
        ({"host": ""}, "host: expected a name"),
        ({"host": "h" * 256}, "host: expected at most 255 characters, got 256"),
        ({"host": 7}, "value: expected a JSON object"),
        ({"cluster": "c" * 256}, "cluster: expected at most 255"),
        ({"vm_id": "vm-2"}, r"vm_id: expected its key 'vm-1', got 'vm-2'"),
        ({"from": 1_773_144_000}, "from: expected epoch minutes"),
        ({"from": "yesterday"}, "from: expected an ISO 8601 time"),
        ({"from": "2026-03-10T12:00"}, "without one"),
        ({"from": "9999-12-31T23:59Z"}, "no clock shows before 2160"),
        ({"created_at": 2**70}, "value: expected|created_at: expected"),
        ({"created_at": True}, "value: expected"),
        ({"vcpus": 0}, "vcpus: expected more than 0"),
        ({"vcpus": -1.5}, "vcpus: expected more than 0"),
        ({"vcpus": 1e300}, "vcpus: expected more than 0 and at most 100,000"),
        ({"vcpus": float("nan")}, "value: expected"),
        ({"memory_mb": 0}, "memory_mb: expected MiB, more than 0"),
        ({"memory_mb": 8 * 2**30}, "memory_mb: expected MiB"),
        ({"memory_mb": 1.5}, "value: expected"),
        ({"timezone": "Mars/Olympus"}, "'vm-1', timezone: expected an IANA name"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"blackout": ["25:00-26:00"]}, "'vm-1', blackout: expected times"),
        ({"blackout": "22:00-06:00"}, "value: expected"),
        ({"max_load_pct": 100.5}, "max_load_pct: expected a number from 0 to 100"),
        ({"max_load_pct": -1}, "max_load_pct: expected a number from 0 to 100"),
        ({"opt_out": 1}, "value: expected"),
    ],
)
def test_what_cannot_be_right_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        decoded(**fields)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"{}"),
        (b"", None),
        (b"\xff", None),
        (b"x" * 256, None),
        (b"vm-1", b""),
        (b"vm-1", b"[]"),
        (b"vm-1", b"{"),
        (b"vm-1", b"\xff"),
        (b"vm-1", b'{"vm_id": "vm-1", "host": "h"}'),
        (b"vm-1", b'{"vm_id": "vm-1", "host": "\\ud800", "from": 1}'),
    ],
)
def test_what_is_no_record_is_refused(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(BadInput):
        decode_record(key, value)


@given(st.binary(max_size=40))
def test_no_bytes_get_past_the_guard(value: bytes) -> None:
    with pytest.raises(BadInput):
        decode_record(b"vm-1", value)


@pytest.mark.parametrize(
    "record",
    [
        VmRecord("", "h", 5),
        VmRecord("vm\ud800", "h", 5),
        VmRecord("vm", "h\ud800", 5),
        VmRecord("vm", "h", 5, vcpus=0),
        VmRecord("vm", "h", 5, policy=Policy("nowhere")),
    ],
)
def test_what_cannot_be_right_is_not_written(record: VmRecord) -> None:
    with pytest.raises(BadInput):
        encode_record(record)


def test_a_number_beyond_json_is_refused() -> None:
    with pytest.raises(BadInput):
        decode_record(b"vm-1", b'{"vm_id": "vm-1", "host": "h", "from": 1, "vcpus": 1e999}')


@given(st.lists(st.one_of(RECORDS, TEXT), max_size=30), st.booleans())
def test_the_inventory_keeps_each_vms_newest_record_as_it_was(told: list[VmRecord | str], shared: bool) -> None:
    ids: Numbered[str] | None = Numbered() if shared else None
    inventory, expected = Inventory(ids), dict[str, VmRecord]()
    for number, item in enumerate(told):
        if isinstance(item, str):
            inventory.forget(item)
            expected.pop(item, None)
        else:
            newest = expected.get(item.vm_id)
            news = newest is None or newest.from_minute <= item.from_minute
            assert inventory.put(item) == news
            expected |= {item.vm_id: item} if news else {}
        if ids is not None:
            ids.number(f"another's {number}")
        assert len(inventory) == len(expected)
    assert {record.vm_id: record for record in inventory.of_hosts(every)} == expected
    wanted = sorted({record.host for record in expected.values()})[:2]
    found = list(inventory.of_hosts(lambda hosts: np.array([host in wanted for host in hosts], dtype=np.bool_)))
    assert {record.vm_id: record for record in found} == {k: r for k, r in expected.items() if r.host in wanted}
    assert len(found) == len({record.vm_id for record in found})


MILLION = """
import resource
from models.fleet import VmRecord
from stream.inventory import Inventory
def peak_mb(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
inventory, before = Inventory(), peak_mb()
for number in range(1_000_000):
    record = VmRecord(f"vm-{number:07d}-of-some-length", f"host-{number // 25}", 5, 3, 4.0, 8192, "cluster")
    inventory.put(record)
print(peak_mb() - before, len(inventory))
"""


@pytest.mark.slow
def test_a_million_records_take_less_than_250_mb() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", MILLION], cwd=root, capture_output=True, text=True, check=True)
    mb, number = done.stdout.split()
    assert (float(mb) < 250, number) == (True, "1000000")
