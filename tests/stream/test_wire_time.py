"""How the time of a sample is read: units, zones, both days on which the clock is changed, and what is no time."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadInput
from stream.wire import Keys, Unreadable, Wire, open_decoder
from stream.wire_base import END_S, PER_SECOND, local_to_utc_s, time_reader
from tests.stream.wiring import T0


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp())


def read(text: str, timezone: str = "UTC") -> int:
    return time_reader(Wire("json", ts_unit="iso", timezone=timezone))(text)


@pytest.mark.parametrize(("unit", "per_second"), PER_SECOND.items())
def test_numbers_count_from_1970_and_fractions_are_dropped(unit: str, per_second: int) -> None:
    reader = time_reader(Wire("json", ts_unit=unit))
    assert [reader(T0 * per_second), reader((T0 + 1) * per_second - 1), reader(0)] == [
        T0,
        T0 + (per_second == 1) * 0,
        0,
    ]
    assert reader(T0 * per_second + 0.5) == T0


@pytest.mark.parametrize("ts", [-1, -0.5, END_S, 10**400, float("nan"), float("inf"), float("-inf"), "60", None, []])
def test_what_is_no_time_is_unreadable(ts: object) -> None:
    with pytest.raises(Unreadable) as caught:
        time_reader(Wire("json"))(ts)
    assert caught.value.reason == "bad_time"


@pytest.mark.parametrize(
    ("text", "timezone", "expected"),
    [
        ("2026-01-01T00:00:00Z", "Asia/Shanghai", "2026-01-01T00:00:00"),  # it names a zone: that holds
        ("2026-01-01T08:00:00", "Asia/Shanghai", "2026-01-01T00:00:00"),
        ("2026-01-01 05:45:59.999", "Asia/Kathmandu", "2026-01-01T00:00:59"),
        ("2026-01-01T00:00:00+05:45", "UTC", "2025-12-31T18:15:00"),
        ("2026-01-01", "UTC", "2026-01-01T00:00:00"),
        # Berlin's autumn: 02:30 is there twice, and the first is meant (summer time, +02:00)
        ("2026-10-25T01:59:59", "Europe/Berlin", "2026-10-24T23:59:59"),
        ("2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30:00"),
        ("2026-10-25T03:00:00", "Europe/Berlin", "2026-10-25T02:00:00"),
        # and its spring: 02:30 is never shown, and counts on as if the clock had not been changed yet (+01:00)
        ("2026-03-29T01:59:59", "Europe/Berlin", "2026-03-29T00:59:59"),
        ("2026-03-29T02:30:00", "Europe/Berlin", "2026-03-29T01:30:00"),
        ("2026-03-29T03:00:00", "Europe/Berlin", "2026-03-29T01:00:00"),
        ("2026-04-05T01:45:00", "Australia/Lord_Howe", "2026-04-04T14:45:00"),  # half an hour twice
    ],
)
def test_a_text_is_in_its_own_zone_or_in_that_of_the_source(text: str, timezone: str, expected: str) -> None:
    assert read(text, timezone) == utc(expected)
    if "Z" not in text and "+" not in text:  # a clock without a zone, as Arrow's timestamps have it
        assert local_to_utc_s(utc(text[:19]), ZoneInfo(timezone)) == utc(expected)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "2026-02-30T00:00", "1969-12-31T23:59:59", "9999-12-31", 5])
def test_a_text_that_is_no_time_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(text)
    assert caught.value.reason == "bad_time"
    with pytest.raises(Unreadable):
        local_to_utc_s(2**62, ZoneInfo("Asia/Shanghai"))


@given(st.lists(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), max_size=5))
def test_a_text_seen_before_means_the_same(moments: list[datetime]) -> None:
    zone = ZoneInfo("America/New_York")
    reader = time_reader(Wire("json", ts_unit="iso", timezone="America/New_York"))
    expected = [int(moment.replace(tzinfo=zone, microsecond=0).timestamp()) for moment in moments]
    texts = [moment.isoformat() for moment in moments]
    assert [reader(text) for text in texts * 2] == expected * 2


@pytest.mark.parametrize("format_", ["json", "host-json", "host-msgpack", "arrow", "telegraf"])
def test_what_a_source_cannot_declare_is_refused_at_once(format_: str) -> None:
    for wire, what in [
        (Wire(format_, timezone="Asia/Shanghai"), "timezone of a source whose ts_unit is s"),
        (Wire(format_, timezone="Asia/Nowhere", ts_unit="iso"), "timezone"),
        (Wire(format_, ts_unit="h"), "ts_unit"),
        (Wire(format_, fields={"memory": "m"}), "fields of the source"),
    ]:
        with pytest.raises(BadInput) as caught:
            open_decoder(wire, Keys())
        assert caught.value.what == what
    with pytest.raises(BadInput, match="expected json, host-json"):
        open_decoder(Wire("xml"), Keys())
