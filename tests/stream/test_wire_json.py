"""Single samples and reports of hosts: fields, gaps, lists of VMs that change, and neighbours of what is bad."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadInput
from models.fleet import MAX_ID_CHARS
from stream.wire import Keys, Wire, open_decoder
from tests.stream.wiring import T0, Record, Said, as_json, opened, reasons, said, said_by

Encode = Callable[[object], bytes]
REPORTS: list[tuple[str, Encode]] = [("host-json", as_json), ("host-msgpack", msgspec.msgpack.encode)]
REPORT = {"host": "h", "ts": T0, "vm": ["a", "b"], "cpu": [1.5, 0.0]}
SAMPLE = {"vm": "a", "host": "h", "ts": T0, "cpu": 2.5}
reports = pytest.mark.parametrize(("name", "encode"), REPORTS)


def test_a_single_sample() -> None:
    rows, bad = said(Wire("json"), [as_json(SAMPLE), as_json({**SAMPLE, "vm": "b", "cpu": 0, "other": [{}]})])
    assert rows == [Said(0, "a", "h", T0, 2.5), Said(1, "b", "h", T0, 0.0)]
    assert bad == []


def test_all_of_a_single_samples_numbers_may_be_texts_as_log_service_writes_them() -> None:
    rows, bad = said(Wire("json", ts_unit="ms"), [as_json({**SAMPLE, "ts": str(T0 * 1000 + 999), "cpu": "0.0"})])
    assert (rows, bad) == ([Said(0, "a", "h", T0, 0.0)], [])


def test_the_names_of_the_source_are_used_and_only_those() -> None:
    wire = Wire("json", fields={"vm": "uuid", "cpu": "load pct", "ts": "at", "host": "node"})
    mapped = {"uuid": "a", "node": "h", "at": T0, "load pct": 7, "vm": 5, "cpu": "x"}
    rows, bad = said(wire, [as_json(mapped), as_json(SAMPLE)])
    assert rows == [Said(0, "a", "h", T0, 7.0)]
    assert reasons(bad) == [(1, "wrong_fields")]


def test_names_may_be_exchanged_but_not_be_one() -> None:
    rows, _ = said(Wire("json", fields={"vm": "host", "host": "vm"}), [as_json(SAMPLE)])
    assert rows == [Said(0, "h", "a", T0, 2.5)]
    with pytest.raises(BadInput, match="a name of its own"):
        open_decoder(Wire("json", fields={"vm": "host"}), Keys())


def test_the_host_may_be_the_messages_key() -> None:
    nameless = as_json({key: value for key, value in SAMPLE.items() if key != "host"})
    asked = [Record(nameless, b"k"), Record(nameless, None), Record(nameless, b"\xff"), Record(nameless, b"")]
    rows, bad = said(Wire("json"), asked)
    assert rows == [Said(0, "a", "k", T0, 2.5)]
    assert reasons(bad) == [(1, "no_host"), (2, "no_host"), (3, "no_host")]


@reports
def test_a_report_of_a_host(name: str, encode: Encode) -> None:
    rows, bad = said(Wire(name), [encode({**REPORT, "memory": [1, 2]}), encode({**REPORT, "ts": T0 + 60.9})])
    assert rows == [Said(m, vm, "h", T0 + 60 * m, cpu) for m in (0, 1) for vm, cpu in (("a", 1.5), ("b", 0.0))]
    assert bad == []


@reports
def test_a_null_is_a_gap_of_its_vm_and_zero_is_a_sample(name: str, encode: Encode) -> None:
    rows, bad = said(Wire(name), [encode({**REPORT, "cpu": [None, 0.0]}), encode({**REPORT, "cpu": [0, None]})])
    assert rows == [Said(0, "b", "h", T0, 0.0), Said(1, "a", "h", T0, 0.0)]
    assert bad == []
    assert said(Wire("json"), [as_json({**SAMPLE, "cpu": None})]) == ([], [])


@reports
def test_the_keys_of_a_list_are_used_again_only_while_it_is_the_same(name: str, encode: Encode) -> None:
    decoder, keys = opened(Wire(name))
    lists = [["a", "b"], ["a", "b"], ["b", "a"], ["a"], ["a", "c"], [], ["a", "b"], ["a", "a"]]
    for vm in lists:
        rows, bad = said_by(decoder, keys, [encode({**REPORT, "vm": vm, "cpu": list(range(len(vm)))})])
        assert [(row.vm_id, row.value) for row in rows] == [(v, float(k)) for k, v in enumerate(vm)]
        assert bad == []
    assert [key.vm_id for key in keys] == ["a", "b", "c"]


@reports
def test_two_hosts_with_the_same_list_have_keys_of_their_own(name: str, encode: Encode) -> None:
    rows, _ = said(Wire(name), [encode(REPORT), encode({**REPORT, "host": "g"})])
    assert [row.host for row in rows] == ["h", "h", "g", "g"]


@reports
def test_impossible_numbers_pass_as_they_are(name: str, encode: Encode) -> None:
    cpus = [-1.0, 1e9] if encode is as_json else [float("nan"), float("inf")]
    rows, bad = said(Wire(name), [encode({**REPORT, "cpu": cpus})])
    np.testing.assert_array_equal([row.value for row in rows], cpus)
    assert bad == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ts": None}, "wrong_fields"),
        ({"ts": "soon"}, "wrong_fields"),
        ({"ts": True}, "wrong_fields"),
        ({"ts": -1}, "bad_time"),
        ({"ts": T0 * 1000}, "bad_time"),
        ({"ts": 10**400}, "bad_time"),
        ({"vm": None}, "wrong_fields"),
        ({"vm": "ab"}, "wrong_fields"),
        ({"vm": [1, 2]}, "wrong_fields"),
        ({"vm": ["a", ""]}, "bad_id"),
        ({"vm": ["a", "x" * (MAX_ID_CHARS + 1)]}, "bad_id"),
        ({"host": ""}, "bad_id"),
        ({"host": 5}, "wrong_fields"),
        ({"cpu": [1.0]}, "unequal_columns"),
        ({"cpu": [1.0, 2.0, 3.0]}, "unequal_columns"),
        ({"cpu": 1.0}, "wrong_fields"),
        ({"cpu": [True, 1.0]}, "wrong_fields"),
        ({"cpu": ["1.0", 1.0]}, "wrong_fields"),
    ],
)
def test_a_bad_report_is_bad_alone(change: dict[str, object], reason: str) -> None:
    rows, bad = said(Wire("host-json"), [as_json(REPORT), as_json({**REPORT, **change}), as_json(REPORT)])
    assert reasons(bad) == [(1, reason)]
    assert [row.message for row in rows] == [0, 0, 2, 2]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no_value"),
        (b"", "malformed"),
        (b"null", "wrong_fields"),
        (b"[]", "wrong_fields"),
        (b"{}", "wrong_fields"),
        (b'{"vm":"a","host":"h","ts":1,"cpu":NaN}', "malformed"),
        (b'{"vm":"a","host":"h","ts":1,"cpu":1}x', "malformed"),
        (b'{"vm":"a","host":"h","ts":1,"cpu":1e999}', "wrong_fields"),
        (b'{"vm":"a\xff","host":"h","ts":1,"cpu":1}', "malformed"),
        (b'{"vm":"\\ud800","host":"h","ts":1,"cpu":1}', "malformed"),
        (b'{"vm":"a","host":"h","ts":"nan","cpu":1}', "bad_time"),
        (b'{"vm":"a","host":"h","ts":1e308,"cpu":1}', "bad_time"),
        (b'{"x":' + b"[" * 100_000, "too_large"),
        (b'{"vm":"a","host":"h","ts":1,"cpu":true}', "wrong_fields"),
        (as_json({**SAMPLE, "vm": ""}), "bad_id"),
    ],
)
def test_a_bad_single_sample_is_bad_alone(value: bytes | None, reason: str) -> None:
    rows, bad = said(Wire("json"), [as_json(SAMPLE), value, as_json(SAMPLE)])
    assert reasons(bad) == [(1, reason)]
    assert [row.message for row in rows] == [0, 2]


def test_of_a_key_that_is_there_twice_the_last_counts_as_json_has_it() -> None:
    rows, _ = said(Wire("json"), [b'{"vm":"a","vm":"b","host":"h","ts":60,"cpu":1,"cpu":2}'])
    assert rows == [Said(0, "b", "h", 60, 2.0)]


@pytest.mark.parametrize(
    "head", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"]
)
def test_a_msgpack_of_a_claimed_size_that_is_not_there_is_bad_alone(head: bytes) -> None:
    good = msgspec.msgpack.encode(REPORT)
    claims = [head, b"\x81\xa2vm" + head, b"\x82\xa2vm\x90\xa3cpu" + head, b"\x81\xa1x" + b"\x91" * 100_000]
    rows, bad = said(Wire("host-msgpack"), [good, *claims, good])
    assert [one.at for one in bad] == [1, 2, 3, 4]
    assert [row.message for row in rows] == [0, 0, 5, 5]


FLEETS = st.lists(
    st.tuples(
        st.sampled_from(["h", "g"]),
        st.dictionaries(st.sampled_from("abcdef"), st.none() | st.floats(0, 655, width=32)),
        st.integers(0, 10**9),
    ),
    max_size=8,
)


@given(FLEETS, st.sampled_from(REPORTS), st.integers(0, 8))
def test_any_reports_are_read_as_they_are_however_they_are_cut(
    fleet: list[tuple[str, dict[str, float | None], int]], how: tuple[str, Encode], cut: int
) -> None:
    name, encode = how
    values = [encode({"host": host, "ts": ts, "vm": list(vms), "cpu": list(vms.values())}) for host, vms, ts in fleet]
    decoder, keys = opened(Wire(name))
    rows = said_by(decoder, keys, values[:cut])[0] + [
        row._replace(message=row.message + len(values[:cut])) for row in said_by(decoder, keys, values[cut:])[0]
    ]
    assert rows == [
        Said(message, vm, host, ts, cpu)
        for message, (host, vms, ts) in enumerate(fleet)
        for vm, cpu in vms.items()
        if cpu is not None
    ]
