"""The small events between our own processes, as JSON: an hour closed, a model was released. And what a migration
controller says of a migration that happened.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from models.errors import BadInput
from models.minutes import Minute
from stream.stores.protocols import Migration


class HourClosed(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """Partition `part` stored the hour that begins at minute `start` for the first time, in these blocks."""

    start: Minute
    part: int
    blocks: tuple[int, ...]


class ModelReleased(msgspec.Struct, frozen=True):
    """Set `number` is the champion from now on."""

    number: int


Event = TypeVar("Event", HourClosed, Migration, ModelReleased)


def encode_event(event: HourClosed | Migration | ModelReleased) -> bytes:
    """The event as JSON."""
    return msgspec.json.encode(event)


def decode_event(kind: type[Event], value: bytes) -> Event:
    """The event of `kind` that `value` says. BadInput where it does not."""
    try:
        return msgspec.json.decode(value, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(
            f"event {kind.__name__}", expected="JSON of its fields", got=str(error), remedy="Send it again, corrected."
        ) from None
