"""Bad messages, each with the reason that its dead letter must give."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from models.minutes import Minute
from tests.faults.script import Message, Report


def _plain(report: Report) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(report.encode())
    return fields


def _with(**changed: object) -> Callable[[Report], bytes | None]:
    return lambda report: json.dumps({**_plain(report), **changed}).encode()


def _without(name: str) -> Callable[[Report], bytes | None]:
    return lambda report: json.dumps({key: value for key, value in _plain(report).items() if key != name}).encode()


POISONS: tuple[tuple[str, Callable[[Report], bytes | None]], ...] = (
    ("no_value", lambda _: None),
    ("malformed", lambda _: b""),
    ("malformed", lambda report: report.encode()[:-7]),  # cut off
    ("malformed", lambda report: b"\xff\xfe" + report.encode()),
    ("malformed", lambda report: report.encode().replace(b'"host": "', b'"host": "\xc3')),  # not UTF-8
    ("malformed", lambda report: json.dumps({**_plain(report), "cpu": [float("nan")] * len(report.vms)}).encode()),
    ("wrong_fields", lambda report: json.dumps([_plain(report)]).encode()),
    ("wrong_fields", _without("ts")),
    ("wrong_fields", _without("cpu")),
    ("wrong_fields", _with(cpu="7")),
    ("wrong_fields", _with(vm=[7])),
    ("unequal_columns", _with(cpu=[1.0] * 999)),
    ("bad_time", lambda report: json.dumps({**_plain(report), "ts": report.ts_s * 1000}).encode()),  # in ms
)


def poison(report: Report, minute: Minute, rng: random.Random) -> Message:
    """Something bad that the host of `report` might have said instead of it, under the same key."""
    reason, spoil = rng.choice(POISONS)
    return Message(report.host, spoil(report), minute, taken=False, dead=reason)


def impossible(report: Report, minute: Minute, rng: random.Random) -> Message:
    """The report with one value that cannot be: the others count all the same."""
    cpu = list(report.cpu)
    cpu[rng.randrange(len(cpu))] = rng.choice((-0.01, 655.5, 1e30))
    return Message(report.host, replace(report, cpu=cpu).encode(), minute, dead="impossible")
