"""Whatever the bytes of a message are: it is read or it is bad, alone, and its neighbours are as they would be."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.wire import Wire
from tests.stream.wiring import T0, Record, as_arrow, as_json, opened, said_by

REPORT = {"host": "h", "ts": T0, "vm": ["a", "b"], "cpu": [1.5, 0.0]}
SAMPLE = {"vm": "a", "host": "h", "ts": T0, "cpu": 2.5}
METRIC = {"name": "cpu", "tags": {"cpu": "cpu-total", "host": "h"}, "fields": {"usage_idle": 1}, "timestamp": T0}
GOOD = {
    "json": as_json(SAMPLE),
    "host-json": as_json(REPORT),
    "host-msgpack": msgspec.msgpack.encode(REPORT),
    "arrow": as_arrow({"vm": pa.array(["a"]), "host": pa.array(["h"]), "ts": pa.array([T0]), "cpu": pa.array([1.0])}),
    "telegraf": as_json({"metrics": [METRIC]}),
}
FORMATS = pytest.mark.parametrize("name", list(GOOD))

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5) | st.just("x" * 300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)
NAMES = ["vm", "host", "ts", "cpu", "metrics", "name", "tags", "fields", "timestamp"]
ALMOST = st.dictionaries(st.sampled_from(NAMES), VALUES | st.lists(VALUES, max_size=3), max_size=9)


def in_the_middle(name: str, value: bytes | None, key: bytes | None = b"k") -> None:
    """Between two good messages: theirs come out as they would without it."""
    decoder, keys = opened(Wire(name))
    alone, _ = said_by(decoder, keys, [GOOD[name]])
    rows, bad = said_by(decoder, keys, [GOOD[name], Record(value, key), GOOD[name]])
    assert {one.at for one in bad} <= {1}
    assert [row for row in rows if row.message == 0] == alone
    assert [row._replace(message=0) for row in rows if row.message == 2] == alone
    assert not (bad and any(row.message == 1 for row in rows))


@FORMATS
@given(data=st.data())
def test_random_bytes(name: str, data: st.DataObject) -> None:
    in_the_middle(name, data.draw(st.none() | st.binary(max_size=64)), data.draw(st.none() | st.binary(max_size=8)))


@FORMATS
@given(data=st.data())
def test_good_bytes_cut_short_or_changed_in_a_place(name: str, data: st.DataObject) -> None:
    good = GOOD[name]
    at = data.draw(st.integers(0, len(good) - 1))
    change = data.draw(st.binary(max_size=4))
    in_the_middle(name, good[:at])
    in_the_middle(name, good[:at] + change + good[at + len(change) :])


@pytest.mark.parametrize("name", ["json", "host-json", "telegraf"])
@given(value=ALMOST)
def test_json_of_wrong_types(name: str, value: object) -> None:
    in_the_middle(name, json.dumps(value).encode("utf-8", "surrogatepass"))  # also with NaN and Infinity in it


@given(value=ALMOST)
def test_msgpack_of_wrong_types(value: dict[str, object]) -> None:
    try:
        packed = msgspec.msgpack.encode(value)
    except (OverflowError, UnicodeEncodeError):
        packed = msgspec.msgpack.encode({"vm": float("inf")})
    in_the_middle("host-msgpack", packed)


@FORMATS
def test_what_is_nested_too_deep(name: str) -> None:
    for value in (b"[" * 50_000, b'{"vm":' * 50_000, b'{"vm":' + b"[" * 50_000, b"\x81\xa2vm" + b"\x91" * 50_000):
        in_the_middle(name, value)
