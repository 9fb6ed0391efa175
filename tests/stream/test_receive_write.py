"""A remote-write request as reports of hosts: what is taken, a gap, refused, and how much is unpacked."""

from __future__ import annotations

import json
import struct
from contextlib import suppress

import cramjam
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadInput
from stream.receive_write import MAX_UNPACKED_BYTES, MAX_VMS, TooLarge, read_write, rule_of
from stream.wire import Wire
from tests.stream.remote_write import MS, RULE, SETTINGS, Series, packed, rows, series
from tests.stream.wiring import T0, Said

STALE, NAN = (struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in (0x7FF0000000000002, 0x7FF8000000000001))


def test_a_request_becomes_one_report_a_host_and_time() -> None:
    body = packed(
        series("a", "h1", (1.5, MS), (2.5, MS + 60_000)),
        series("b", "h1", (0.0, MS)),
        series("c", "h2", (7.0, MS + 999)),
        series("d", "h2", (7.0, MS), metric="memory"),
    )
    written = read_write(body, RULE)
    assert (written.samples, written.others, written.refused) == (4, 1, [])
    assert [report.key for report in written.reports] == [b"h1", b"h2", b"h1"]
    assert json.loads(written.reports[0].value) == {"host": "h1", "ts": T0, "vm": ["a", "b"], "cpu": [1.5, 0.0]}
    expected = [("a", "h1", 0, 1.5), ("b", "h1", 0, 0.0), ("c", "h2", 0, 7.0), ("a", "h1", 60, 2.5)]
    assert rows(written.reports) == [Said(0, vm, host, T0 + at, value) for vm, host, at, value in expected]


def test_the_bytes_that_prometheus_sends_are_read() -> None:
    """Written out by hand, with a field of metadata and an exemplar that protocol 1.0 does not name."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    labels = [(b"__name__", b"cpu_seconds_total"), (b"domain", b"a"), (b"instance", b"h")]
    label_bytes = b"".join(field(1, field(1, name) + field(2, value)) for name, value in labels)
    sample = b"\x09" + struct.pack("<d", 2.5) + b"\x10\xd2\x09"  # 1,234 ms
    request = field(1, label_bytes + field(2, sample) + field(3, b"\x09" + bytes(8))) + field(3, b"\x08\x01")
    written = read_write(bytes(cramjam.snappy.compress_raw(request)), RULE)
    assert rows(written.reports) == [Said(0, "a", "h", 1, 2.5)]


@pytest.mark.parametrize("value", [STALE, NAN])
def test_a_staleness_marker_is_a_gap(value: float) -> None:
    written = read_write(packed(series("a", "h", (value, MS), (1.0, MS + 60_000))), RULE)
    assert (written.samples, written.others, written.refused) == (1, 1, [])
    assert [row.ts_s for row in rows(written.reports)] == [T0 + 60]


def test_reports_are_written_as_the_source_declares_them() -> None:
    wire = Wire("host-msgpack", "core_seconds", ts_unit="ns", fields={"vm": "uuid", "cpu": "seconds"})
    written = read_write(packed(series("a", "h", (1.0, MS + 1))), rule_of(SETTINGS, wire))
    assert msgspec.msgpack.decode(written.reports[0].value)["ts"] == (MS + 1) * 1_000_000
    assert rows(written.reports, wire) == [Said(0, "a", "h", T0, 1.0)]
    for other in (Wire("json"), Wire("host-json", ts_unit="iso"), Wire("arrow")):
        with pytest.raises(BadInput, match="source of the receiver"):
            rule_of(SETTINGS, other)


def test_a_report_stays_small_enough_for_a_broker() -> None:
    written = read_write(packed(*(series(f"{k:0255d}", "h", (1.0, MS)) for k in range(MAX_VMS + 1))), RULE)
    assert [len(json.loads(report.value)["vm"]) for report in written.reports] == [MAX_VMS, 1]
    assert max(len(report.value) for report in written.reports) < 1_000_000


@pytest.mark.parametrize(
    "wrong",
    [
        series("", "h", (1.0, MS)),
        series("a", "", (1.0, MS)),
        series("x" * 256, "h", (1.0, MS)),
        ({"__name__": "cpu_seconds_total", "instance": "h"}, [(1.0, MS)]),
        series("a", "h", (1.0, -1)),
        series("a", "h", (1.0, 2**62)),
        series("a", "h", (float("inf"), MS)),
    ],
)
def test_what_can_never_be_taken_is_refused_and_its_neighbours_are_not(wrong: Series) -> None:
    written = read_write(packed(series("b", "h", (1.0, MS)), wrong, series("c", "h", (2.0, MS))), RULE)
    assert len(written.refused) == 1
    assert [row.vm_id for row in rows(written.reports)] == ["b", "c"]


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    claim = b"\xff\xff\xff\xff\x0f" + b"\x00" * 10  # 4 GiB, says the head of the block
    for body in (claim, bytes(cramjam.snappy.compress_raw(b"\x00" * (MAX_UNPACKED_BYTES + 1)))):
        with pytest.raises(TooLarge, match="when unpacked"):
            read_write(body, RULE)


@given(st.binary(max_size=60), st.booleans())
def test_whatever_the_bytes_are_they_are_read_or_refused(body: bytes, block: bool) -> None:
    with suppress(BadInput):
        written = read_write(bytes(cramjam.snappy.compress_raw(body)) if block else body, RULE)
        assert written.reports == []
