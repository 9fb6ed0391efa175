"""Faust runs the workers: agents for events, services beside them, until a signal or a crash ends them all.

The one file that knows Faust. What is leaned on, and what is kept away from, tests/stream/test_faust.py pins: an
exception in an agent acknowledges its event (in `take` the whole batch), as does a cancellation; so agents catch all
and acknowledge by hand. Out of order that commits over the first event under way; so they acknowledge in order.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import faust
from faust.app.base import BootStrategy
from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP, EventT
from mode import Service

from models.errors import StoreError, ZhugeError
from stream.agents import Arrived, Care, Handler, InOrder, attend
from stream.broker import Membership
from stream.kafka import Connection, Topics
from stream.kafka_tools import ensure_topics, own_topics

INTERRUPTED, CRASHED, REFUSED = 130, 1, 2
STOP_WITHIN_S = 10.0
ASK_AGAIN_S = 2.0
COMMIT_EVERY_S = 1.0
LONGEST_EVENT_S = 24 * 3600.0  # a store may be away for long; until then Faust does not complain of a slow agent

log = logging.getLogger(__name__)


class Agent(NamedTuple):
    """Events of `topic` go to `handler`: several at once, or one after another as the log has them."""

    topic: str
    handler: Handler
    at_once: bool


class _Services(BootStrategy):
    """No client of Kafka's: services bring their own."""

    enable_kafka = False
    enable_sensors = False


class _Agents(BootStrategy):
    """A consumer for agents."""

    enable_sensors = False


class _Consumer(Consumer):
    """What is fetched while a rebalance begins Faust throws away, to read it again from what is committed."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Where nothing is committed yet, to the start: there Faust would go on behind what it threw away."""
        committed = await super().seek_to_committed()
        fresh = {place: 0 for place, offset in committed.items() if not offset}
        if fresh:
            await self.seek_wait(fresh)
        return committed


class _Transport(Transport):
    Consumer = _Consumer


class _App(faust.App):
    mundane_level = "debug"

    def _create_directories(self) -> None:
        """None: nothing of ours is kept in tables."""


def services_app(name: str) -> faust.App:
    """An app that only runs what is given to `run` beside it."""
    app = _App(name, broker="kafka://nowhere", **_common())
    app.boot_strategy = _Services(app)
    return app


def agents_app(connection: Connection, member: Membership, agents: Sequence[Agent], care: Care) -> faust.App:
    """An app with an agent for each topic, in one consumer group."""
    session_s = member.session_timeout_ms / 1000
    app = _App(
        member.group,
        broker=[f"kafka://{address}" for address in connection.brokers],
        broker_credentials=_credentials(connection),
        broker_client_id="zhuge",
        broker_session_timeout=session_s,
        broker_heartbeat_interval=max(0.3, session_s / 4),
        broker_request_timeout=max(40.0, session_s + 5),
        broker_commit_interval=COMMIT_EVERY_S,
        broker_commit_livelock_soft_timeout=LONGEST_EVENT_S,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=member.instance or None,
        consumer_metadata_max_age_ms=member.metadata_max_age_ms,
        stream_processing_timeout=LONGEST_EVENT_S,
        stream_wait_empty=False,  # else an event that waits for a store keeps the process from ending, for ever
        **_common(),
    )
    app.boot_strategy = _Agents(app)
    app.transport = _Transport(app.conf.broker_consumer, app)
    for agent in agents:
        channel = app.topic(agent.topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        app.agent(channel, name=agent.topic)(_attending(app, agent, care))
    return app


def _common() -> dict[str, Any]:
    """Explicit, as Faust would else take them from the environment or make files and topics."""
    return {
        "env_prefix": "ZHUGE_FAUST_NOT_SET_",
        "store": "memory://",
        "web_enabled": False,
        "autodiscover": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
    }


def _credentials(connection: Connection) -> faust.SASLCredentials | faust.SSLCredentials | None:
    context = None
    if connection.security.endswith("SSL"):
        context = ssl.create_default_context(cafile=connection.ca_file or None)
    if connection.security.startswith("SASL"):
        return faust.SASLCredentials(
            username=connection.username, password=connection.password, ssl_context=context, mechanism="PLAIN"
        )
    return None if context is None else faust.SSLCredentials(context)


def _attending(app: faust.App, agent: Agent, care: Care) -> Any:  # noqa: ANN401 (Faust's own type of an agent's function)
    in_order = InOrder()

    async def attend_all(stream: faust.Stream[bytes]) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                async for event in stream.noack().events():
                    arrived = _arrived(event)
                    done = in_order.came(arrived, event.ack)
                    attending = tasks.create_task(_attend(arrived, agent.handler, care, done))
                    if not agent.at_once:
                        await attending
        except Exception as error:  # a mistake of ours: Faust would go on behind the event
            await app.crash(error)

    return attend_all


async def _attend(arrived: Arrived, handler: Handler, care: Care, done: Any) -> None:  # noqa: ANN401
    await attend(arrived, handler, care)
    done()


def _arrived(event: EventT[bytes]) -> Arrived:
    message = event.message
    timestamp_ms = round(message.timestamp * 1000)
    return Arrived(message.topic, message.partition, message.offset, message.key, message.value, timestamp_ms)


async def ask_brokers(app: faust.App) -> dict[str, list[int]]:
    """The partitions of each topic that the app's agents have; raises where their brokers do not answer."""
    places = app.consumer.assignment()
    if places:
        await app.consumer.highwaters(*places)
    topics = sorted({place.topic for place in places})
    return {topic: sorted(place.partition for place in places if place.topic == topic) for topic in topics}


class _Worker(faust.Worker):
    """Faust's, with an end to its patience. The state: whether it was asked to stop."""

    asked = False
    deadline: threading.Timer | None = None

    def _schedule_shutdown(self, signal: signal.Signals) -> None:
        self.asked = True
        self._hurry()
        super()._schedule_shutdown(signal)

    def on_worker_shutdown(self) -> None:
        """Whatever the reason."""
        self._hurry()
        super().on_worker_shutdown()

    def _hurry(self) -> None:
        """While a broker is away, Faust tries for minutes to commit and to leave its group."""
        if self.deadline is None:
            self.deadline = threading.Timer(STOP_WITHIN_S, self._give_up)
            self.deadline.daemon = True
            self.deadline.start()

    def _give_up(self) -> None:
        log.critical(
            "not stopped within %g s, so it ends at once; what was not acknowledged comes again", STOP_WITHIN_S
        )
        logging.shutdown()
        os._exit(INTERRUPTED if self.asked else CRASHED)


def run(app: faust.App, services: Sequence[Service]) -> int:
    """Run an app and services until SIGTERM or SIGINT, or until one crashes. In the main thread; returns the exit code.

    130 after a signal, 2 where something refused to work (its words are logged), 1 after a crash (logged whole). The
    process has to end then: a thread that still works (a long forecast) is given the rest of the ten seconds.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = _Worker(app, *services, loop=loop, quiet=True, override_logging=False)
    worker.spinner = None
    error: BaseException | None = None
    try:
        worker.execute_from_commandline()
    except SystemExit as end:  # always; a failure to start stands behind it
        error = worker.crash_reason or end.__context__
    return _exit_code(error, asked=worker.asked)


def _exit_code(error: BaseException | None, *, asked: bool) -> int:
    if isinstance(error, ZhugeError):
        log.critical("the worker ends: %s", error)
        return REFUSED
    if error is not None:
        log.critical("the worker ends by a crash: %r", error, exc_info=error)
        return CRASHED
    if not asked:
        log.critical("the worker ended, and nobody asked it to")
    return INTERRUPTED if asked else CRASHED


def until_topics_are_there(connection: Connection, topics: Topics) -> None:
    """Make our own topics where they are not; while the brokers do not answer, say so and ask again."""
    while True:
        try:
            ensure_topics(connection, own_topics(topics))
            return
        except StoreError as error:
            log.warning("waiting for the brokers: %s", error)
            time.sleep(ASK_AGAIN_S)
