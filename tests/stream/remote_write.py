"""What the tests of the remote-write receiver share: requests as Prometheus packs them."""

from __future__ import annotations

from collections.abc import Sequence

import cramjam

from stream.receive_write import WRITE_REQUEST, Report, rule_of
from stream.settings_sections import Receive
from stream.wire import Wire
from tests.stream.wiring import T0, Record, Said, said

MS = T0 * 1000
SETTINGS = Receive(metric="cpu_seconds_total", vm_label="domain", host_label="instance")
RULE = rule_of(SETTINGS, Wire("host-json", "core_seconds"))

Series = tuple[dict[str, str], list[tuple[float, int]]]  # labels; values with their milliseconds


def series(vm: str, host: str, *samples: tuple[float, int], metric: str = "cpu_seconds_total") -> Series:
    return {"__name__": metric, "domain": vm, "instance": host, "job": "libvirt"}, list(samples)


def packed(*all_series: Series) -> bytes:
    request = WRITE_REQUEST()
    for labels, samples in all_series:
        made = request.timeseries.add()
        for name, value in sorted(labels.items()):
            made.labels.add(name=name, value=value)
        for number, ts_ms in samples:
            made.samples.add(value=number, timestamp=ts_ms)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def rows(reports: Sequence[Report], wire: Wire | None = None) -> list[Said]:
    """What an ingest worker makes of the reports."""
    found, bad = said(wire or Wire("host-json"), [Record(report.value, None) for report in reports])
    assert bad == []
    return [row._replace(message=0) for row in found]
