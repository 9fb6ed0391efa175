"""The records of the firehose: what it is connected to, and what a turn of it took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from stream.broker import Membership
from stream.due import Rules
from stream.kafka import Connection, Topics
from stream.sources import Declared
from stream.stores.open import Stores


@dataclass(frozen=True, slots=True)
class Plumbing:
    """Where samples come from and where everything goes. `own`: the brokers of our own `topics`."""

    source: Declared
    own: Connection
    topics: Topics
    member: Membership
    stores: Stores
    rules: Rules


class Step(NamedTuple):
    """What one turn took and how long that took."""

    messages: int
    rows: int
    hours: int
    take_s: float
    tell_s: float
    commit_s: float
