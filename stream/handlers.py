"""What a forecast worker does with the small events of each topic; `stream.agents` says how they are attended to."""

from __future__ import annotations

import asyncio
import logging

from models.errors import BadInput
from models.minutes import HOUR_MIN
from stream.agents import Handler, NotKnownYet
from stream.events import HourClosed, ModelReleased, decode_event
from stream.kafka import Topics
from stream.live import Fleet
from stream.runs import Runs, check_closed
from stream.stores.protocols import Migration, Outcomes

METHODS = ("pre-copy", "auto-converge", "post-copy", "cold")
RESULTS = ("done", "failed", "cancelled")
_MINUTES = range(-(2**31), 2**31)

log = logging.getLogger(__name__)


def handlers_of(fleet: Fleet, topics: Topics, runs: Runs) -> dict[str, Handler]:
    """What is done with the events of each topic."""

    async def hour(value: bytes) -> None:
        closed = decode_event(HourClosed, value)
        end = closed.start + HOUR_MIN
        await asyncio.to_thread(check_closed, fleet, end)
        await runs.ask(end, closed.part)

    async def outcome(value: bytes) -> None:
        await asyncio.to_thread(store_outcome, fleet.stores.outcomes, value)

    async def model(value: bytes) -> None:
        await asyncio.to_thread(reload, fleet, value)

    return {topics.hours: hour, topics.outcomes: outcome, topics.models: model}


def store_outcome(outcomes: Outcomes, value: bytes) -> None:
    """Store the migration that an event tells of. BadInput where it cannot be; NotKnownYet where its VM is unknown."""
    migration = migration_of(value)
    if outcomes.put([migration]):
        raise NotKnownYet(
            f"migration of {migration.vm_id!r}",
            expected="a VM that has reported, or is in the inventory",
            got="one that is unknown",
            remedy="Check the id; when the VM is known, send the event again.",
        )


def migration_of(value: bytes) -> Migration:
    """The migration in the event's JSON. BadInput where it is none that can have happened."""
    event = decode_event(Migration, value)
    checks = {
        "vm_id": (bool(event.vm_id), "an id"),
        "start": (event.start in _MINUTES, "an epoch minute"),
        "method": (event.method in METHODS, ", ".join(METHODS)),
        "result": (event.result in RESULTS, ", ".join(RESULTS)),
        "length_s": (event.length_s >= 0, "0 or more seconds"),
        "downtime_ms": (event.downtime_ms is None or event.downtime_ms >= 0, "0 or more milliseconds, or null"),
    }
    for name, (good, expected) in checks.items():
        if not good:
            got = repr(getattr(event, name))
            raise BadInput(f"{name} of a migration", expected=expected, got=got, remedy="Send it again, corrected.")
    return event


def reload(fleet: Fleet, value: bytes) -> None:
    """Load the champion now, so that the next hour need not. SetError where it is broken."""
    released = decode_event(ModelReleased, value)
    _, model = fleet.champion.in_force()
    log.info("model set %d was released; in force is %s", released.number, model)
