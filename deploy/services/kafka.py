"""Kafka: one KRaft process, broker and controller; a plain listener and a SASL_SSL one, both on loopback only.

SASL_SSL with PLAIN is how Log Service (SLS) is reached, so what is documented for it can be tried here: the user stands
for the project, the password for `<access key id>#<access key secret>`.
"""

from __future__ import annotations

import socket
import struct

from deploy.services.java import LOG, classpath, need_java, program, properties, run
from deploy.services.server import HOST, Place, Service
from deploy.services.tls import certificates

CLUSTER_ID = "emh1Z2UtdGVzdHMtMDAwMA"
USER = "zhuge-tests"
# One compiler tier and one collector thread: a start takes 3 CPU seconds instead of 5, and tests share the cores.
JVM = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true"]
GROUPS = "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.coordinator.group=info"  # who joins, and why one is thrown out
METADATA, METADATA_VERSION = 3, 4


def _password(place: Place) -> str:
    return f"tests#{certificates(place.home).password}"


def _config(place: Place) -> str:
    tls = certificates(place.home)
    plain, sasl, controller = (place.ports[name] for name in KAFKA.ports)
    login = "org.apache.kafka.common.security.plain.PlainLoginModule"
    return properties(f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{HOST}:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners=PLAINTEXT://{HOST}:{plain},SASL_SSL://{HOST}:{sasl},CONTROLLER://{HOST}:{controller}
advertised.listeners=PLAINTEXT://{HOST}:{plain},SASL_SSL://{HOST}:{sasl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config={login} required user_{USER}="{_password(place)}";
ssl.keystore.type=PKCS12
ssl.keystore.location={tls.keystore}
ssl.keystore.password={tls.password}
log.dirs={place.folder / "logs"}

# A topic that nobody made is an error, and what a test wrote stays, however old the time that it carries.
auto.create.topics.enable=false
log.retention.ms=-1
offsets.retention.minutes=10080

# One broker.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1

# A group is ready when its first member is, and a dead member is soon missed.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# After a kill -9 the broker may register again when its old session has ended.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500

# Compaction within seconds rather than days, in small memory.
log.segment.bytes=16777216
log.roll.ms=600000
log.cleaner.min.cleanable.ratio=0.05
log.cleaner.backoff.ms=1000
log.cleaner.dedupe.buffer.size=16777216

num.network.threads=2
num.io.threads=4
background.threads=2
""")


def _prepare(place: Place) -> None:
    if not (place.folder / "logs" / "meta.properties").exists():
        tool = [
            program("java"),
            *JVM,
            *LOG,
            "-cp",
            classpath(place.home),
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
        ]
        run([*tool, "-t", CLUSTER_ID, "-c", str(place.folder / KAFKA.config_file)])


def _command(place: Place) -> list[str]:
    config = str(place.folder / KAFKA.config_file)
    return [program("java"), *JVM, *LOG, GROUPS, "-cp", classpath(place.home), "kafka.Kafka", config]


def _answers(place: Place) -> None:
    """Ask for the live brokers: a port may be open, and the broker not yet in its own cluster."""
    header = struct.pack(">hhih", METADATA, METADATA_VERSION, 1, -1)
    request = header + struct.pack(">i?", 0, False)  # no topics, and none to be made
    with socket.create_connection((HOST, place.ports["plain"]), timeout=5) as asked:
        asked.sendall(struct.pack(">i", len(request)) + request)
        with asked.makefile("rb") as answer:
            size = answer.read(4)
            body = answer.read(struct.unpack(">i", size)[0]) if len(size) == 4 else b""
    if len(body) < 12 or struct.unpack_from(">iii", body)[2] < 1:  # correlation, throttle, number of brokers
        raise ConnectionError("no live broker yet")


def _facts(place: Place) -> dict[str, str]:
    return {
        "bootstrap": f"{HOST}:{place.ports['plain']}",
        "sasl_bootstrap": f"{HOST}:{place.ports['sasl']}",
        "ca_file": str(certificates(place.home).ca_file),
        "username": USER,
        "password": _password(place),
    }


KAFKA = Service(
    name="kafka",
    ports=("plain", "sasl", "controller"),
    config_file="server.properties",
    needs=need_java,
    config=_config,
    prepare=_prepare,
    command=_command,
    answers=_answers,
    facts=_facts,
)
