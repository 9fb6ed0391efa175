"""A VM, its forecast and outlook by hand, and the answer to a question about it."""

from __future__ import annotations

import numpy as np

from models.calibration import DEFAULT
from models.fleet import Life, Placement, Policy, Vm
from models.forecast import FORECAST_DTYPE, HOURS, Reason, Rung
from models.minutes import parse_iso
from models.quiet import quietness
from models.weekday import OUTLOOK_HOURS, Outlook
from stream.answer import Answer, Limits, Subject, answer
from stream.question import Question
from stream.stores.protocols import OneForecast

MIDNIGHT = parse_iso("2026-03-10T00:00Z")
NOW = MIDNIGHT + 7
LIMITS = Limits()
USUAL, USUAL_POLICY = Question(), Policy()


def vm_of(policy: Policy = USUAL_POLICY, created_at: int = 0) -> Vm:
    life = Life("vm-1", created_at, policy=policy)
    return Vm(life, (Placement("vm-1", created_at, created_at, "host-1", 2.0, 0, 0),))


def forecast_of(
    *levels: float, first_minute: int = MIDNIGHT, rung: Rung = Rung.CHAMPION, reason: Reason = Reason.NONE
) -> OneForecast:
    """Levels hour by hour, the last one to the end; P90 two points above; data until `first_minute`."""
    level = np.array([*levels, *[levels[-1]] * (HOURS - len(levels))], dtype=np.float32)
    record = np.zeros(1, dtype=FORECAST_DTYPE)
    record["mean"], record["p50"], record["p90"] = level * 100, level * 100, level * 100 + 200
    record["quiet"] = quietness(level[None], np.zeros((1, 12), dtype=np.float32))
    record["rung"], record["reason"], record["data_through"], record["coverage"] = rung, reason, first_minute, 190
    return OneForecast(first_minute, first_minute + 4, "set-000003", np.void(record[0]))


def outlook_of(*levels: float) -> Outlook:
    """Levels hour by hour after the forecast's, the last one to the end; P90 two points above."""
    mean = np.array([*levels, *[levels[-1]] * (OUTLOOK_HOURS - len(levels))], dtype=np.float32)
    return Outlook(mean, mean, mean + np.float32(2))


def ask(
    forecast: OneForecast | None,
    question: Question = USUAL,
    policy: Policy = USUAL_POLICY,
    now: int = NOW,
    outlook: Outlook | None = None,
) -> Answer:
    return answer(Subject("vm-1", vm_of(policy), forecast, outlook), question, now, LIMITS, DEFAULT)
