"""The oracle of the fault harness against a case worked out by hand; and that it sees what is lost or doubled."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest

from models.minutes import Minute
from tests.faults.oracle import (
    Cell,
    Logged,
    Mean,
    Place,
    Refused,
    Sample,
    Wrong,
    percents,
    rates,
    true_cells,
    wrong_acknowledged,
    wrong_cells,
    wrong_letters,
)
from tests.faults.script import Fleet, Message, load_pct

HOUR = 1_000 * 60  # an epoch minute at a whole hour


def report(host: str, minute: Minute, second: int, **cpu: float) -> bytes:
    ts_s = (HOUR + minute) * 60 + second
    return json.dumps({"host": host, "ts": ts_s, "vm": list(cpu), "cpu": list(cpu.values())}).encode()


def truth(*values: bytes | None, left_out: Sequence[bytes | None] = (), moved_at: Minute = 10**9) -> dict[Cell, Mean]:
    log = [Logged(Place(0, offset), value) for offset, value in enumerate(values)]
    sent = {value: Message("h1", value, HOUR, taken=value not in left_out) for value in values}
    return true_cells(percents(log, sent), lambda _, minute: "h2" if minute >= HOUR + moved_at else "h1")


def test_the_worked_example() -> None:
    found = truth(
        report("h1", 0, 30, a=10.0, b=0.0),
        report("h1", 0, 45, a=20.0),  # the later second
        report("h1", 0, 40, a=99.0),  # an earlier one that comes after it
        report("h1", 1, 59, a=40.0),
        report("h1", 1, 59, a=30.0),  # the same second: the larger
        report("h1", 1, 59, a=40.0),  # a duplicate
        report("h1", 7, 0, a=0.0),
        report("h1", 60, 0, b=5.0),
    )
    assert found == {
        Cell("a", 5, HOUR): Mean(30.0, 2),
        Cell("a", 5, HOUR + 5): Mean(0.0, 1),
        Cell("a", 60, HOUR): Mean(20.0, 3),
        Cell("b", 5, HOUR): Mean(0.0, 1),
        Cell("b", 60, HOUR): Mean(0.0, 1),
        Cell("b", 5, HOUR + 60): Mean(5.0, 1),
        Cell("b", 60, HOUR + 60): Mean(5.0, 1),
    }


def test_bad_messages_impossible_values_and_a_left_hosts_minutes_make_no_aggregate() -> None:
    bad = report("h1", 3, 0, a=50.0)
    found = truth(
        None,
        bad,
        b"{not json",
        report("h1", 0, 0, a=-1.0, b=655.01, c=7.0),
        report("h1", 5, 0, a=8.0),
        report("h2", 5, 30, a=9.0),
        left_out=[None, bad, b"{not json"],
        moved_at=5,
    )
    assert found == {
        Cell("c", 5, HOUR): Mean(7.0, 1),
        Cell("c", 60, HOUR): Mean(7.0, 1),
        Cell("a", 5, HOUR + 5): Mean(9.0, 1),
        Cell("a", 60, HOUR): Mean(9.0, 1),
    }


def test_counters_become_the_percent_of_what_the_vm_has_at_the_middle_of_two_reports() -> None:
    values = [report("h1", 0, 30, a=100.0), report("h2", 1, 0, a=7.0), report("h1", 1, 30, a=172.0, b=0.0)]
    log = [Logged(Place(0, offset), value) for offset, value in enumerate(values)]
    assert list(rates(log, {value: Message("h1", value, HOUR) for value in values})) == [
        Sample("a", "h1", (HOUR + 1) * 60, 30.0)  # 72 core seconds in 60 s: 1.2 of its 4 cores
    ]


A = Cell("a", 5, HOUR)


@pytest.mark.parametrize(
    ("found", "doubled"),
    [
        ({A: Mean(20.0, 5)}, []),
        ({A: Mean(20.0059, 5)}, []),
        ({A: Mean(20.0061, 5)}, [True]),
        ({A: Mean(math.nan, 5)}, [True]),
        ({A: Mean(20.0, 4)}, [False]),
        ({A: Mean(20.0, 6)}, [True]),
        ({}, [False]),
        ({A: Mean(20.0, 5), Cell("a", 60, HOUR): Mean(0.0, 1)}, [True]),
    ],
)
def test_cells_that_are_not_as_they_must_be(found: dict[Cell, Mean], doubled: list[bool]) -> None:
    assert [wrong.doubled for wrong in wrong_cells({A: Mean(20.0, 5)}, found)] == doubled


def test_letters_lost_and_doubled() -> None:
    must = [Refused(Place(0, 1), "impossible"), Refused(Place(1, 1), "late")]

    def wrong(*found: Refused) -> list[tuple[Minute, bool]]:
        return [(w.minute, w.doubled) for w in wrong_letters(must, found, lambda place: place.partition)]

    assert wrong(*must) == []
    assert wrong(must[0]) == [(1, False)]
    assert wrong(*must, must[1]) == [(1, True)]
    assert wrong(must[0], Refused(Place(1, 1), "impossible")) == [(1, False), (1, True)]


def test_what_was_acknowledged_must_be_in_the_log() -> None:
    log = [Logged(Place(0, 0), b"x")]
    sent: dict[bytes | None, Message] = {value: Message("h", value, 7) for value in (b"x", b"y")}
    assert list(wrong_acknowledged(log, log, sent)) == []
    for stranger in (Logged(Place(0, 0), b"y"), Logged(Place(0, 1), b"x")):
        assert [w[:2] for w in wrong_acknowledged(log, [stranger], sent)] == [(7, False)]
    assert isinstance(next(wrong_acknowledged([], log, sent)), Wrong)


def test_the_fleet_reports_each_vm_once_a_minute_from_where_it_is() -> None:
    fleet = Fleet(vms=20, hosts=3, seed=1)
    fleet.move("vm-4", "host-0", HOUR)
    for minute, host in ((HOUR - 1, "host-1"), (HOUR, "host-0")):
        reports = {m.key: json.loads(m.value or b"") for m in fleet.messages(minute)}
        assert sorted(vm for r in reports.values() for vm in r["vm"]) == sorted(fleet.vms)
        assert {r["ts"] // 60 for r in reports.values()} == {minute}
        assert "vm-4" in reports[host]["vm"]
    fleet.move("vm-5", "host-0", HOUR + 60, linger_min=2)
    there = [[m.key for m in fleet.messages(HOUR + minute) if b'"vm-5"' in (m.value or b"")] for minute in (61, 62)]
    assert there == [["host-0", "host-2"], ["host-0"]]
    counting = Fleet(vms=2, hosts=1, seed=1, counters=True)
    first, second = (counting.report("host-0", HOUR + minute) for minute in (0, 1))
    before_s, after_s = 60 - first.ts_s % 60, second.ts_s % 60
    core_s = 0.04 * (load_pct("vm-1", HOUR) * before_s + load_pct("vm-1", HOUR + 1) * after_s)  # of four cores
    assert second.cpu[1] - first.cpu[1] == pytest.approx(core_s)
    assert load_pct("vm-10", HOUR) == 0.0
    assert load_pct("vm-4", HOUR) == load_pct("vm-4", HOUR) != load_pct("vm-4", HOUR + 1)
