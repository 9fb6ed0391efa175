"""What every Kafka client of ours is told: how to reach the brokers, and the names of our own topics.

No client library is known here: `stream.firehose` reads with aiokafka, the agents with Faust, the
tools with kafka-python.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Connection:
    """Brokers as host:port, and how to be let in. `security`: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.

    `ca_file`: PEM of the authority that signed the brokers' certificate; empty: the system's. The SASL mechanism is
    PLAIN, which Log Service (SLS) asks for: user = project, password = `<access key id>#<access key secret>`.
    """

    brokers: tuple[str, ...]
    security: str = "PLAINTEXT"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""


class Topics(NamedTuple):
    """Our own topics, by what they carry; the sources' topics are named in the settings.

    inventory: compacted, VM records by vm_id. placements: compacted, what one worker placed, for the others. hours:
    closed hours. dead: compacted by (topic, partition, offset). late: samples that came too late. outcomes: migrations
    that happened. models: released sets. events_dead: events that an agent could not handle.
    """

    inventory: str
    placements: str
    hours: str
    dead: str
    late: str
    outcomes: str
    models: str
    events_dead: str


def topics_of(prefix: str) -> Topics:
    """The topics of one fleet; a prefix lets several fleets share a broker."""
    names = ("vms", "placements", "hours", "samples.dead", "samples.late", "outcomes", "models", "events.dead")
    return Topics(*(prefix + name for name in names))
