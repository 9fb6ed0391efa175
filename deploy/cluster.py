"""`make cluster`: the demo on real services. A broker of its own, the workers, the page, and a feed, in one terminal.

The first start feeds a fleet's past and trains on it; then the fleet lives on at 60 times real time until Ctrl-C. The
next start goes on from there. Everything is under data/cluster.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from deploy.services import process, server
from deploy.services.kafka import KAFKA
from deploy.services.server import HOST, State
from deploy.supervisor import ProcessDied, Together
from models.errors import ZhugeError

ROOT = Path(__file__).parents[1]
FOLDER = Path("data") / "cluster"  # of where it runs, as for `zhuge`
PREPARED = FOLDER / "prepared"
TEMPLATE = ROOT / "configs" / "cluster.toml"
BROKERS = 'brokers = "127.0.0.1:9092"'
PAGE_PORT = 8080
PARTITIONS = 4
LOOK_EVERY_S = 1.0
BAD_INPUT, INTERRUPTED = 2, 130

Ports = Mapping[str, int]


def main() -> int:
    """Run until Ctrl-C (exit code 130), or until one of the processes ends (2)."""
    parser = argparse.ArgumentParser(prog="make cluster", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--trace", default="synthetic:vms=200,days=16", help="what is fed  [default: %(default)s]")
    parser.add_argument("--speed", default="60", help="times real time, once it is live  [default: %(default)s]")
    parser.add_argument("--fresh", action="store_true", help="begin anew: remove data/cluster first")
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with server.locked(FOLDER.with_suffix(".lock"), wait=False):
            run(given.trace, given.speed, fresh=given.fresh)
    except BlockingIOError:
        sys.stderr.write(f"cluster: another one runs in {FOLDER.resolve()}: stop that first (Ctrl-C)\n")
        return BAD_INPUT
    except ZhugeError as error:
        sys.stderr.write(f"cluster: {error}\n")
        return BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write("cluster: stopped; the next `make cluster` goes on from here\n")
        return INTERRUPTED
    return 0


def run(trace: str, speed: str, *, fresh: bool) -> None:
    """The whole cluster, until one of its processes ends: ProcessDied, with its last words."""
    kafka_folder = FOLDER.resolve() / KAFKA.name
    if fresh or not PREPARED.exists():  # what was begun and not finished begins anew, too
        server.stop(kafka_folder)
        shutil.rmtree(FOLDER, ignore_errors=True)
    with ExitStack() as stack:
        stack.callback(server.stop, kafka_folder)
        together = stack.enter_context(Together({"COLUMNS": "110"}))
        together.say("Kafka starts.")
        kafka = server.start(KAFKA, kafka_folder, server.HOME)
        ports = server.free_ports(("page", "ingest", "forecast"))
        if server.is_free(PAGE_PORT):
            ports["page"] = PAGE_PORT
        config = FOLDER / "cluster.toml"
        config.write_text(settings(TEMPLATE.read_text("utf-8"), kafka.facts["bootstrap"], ports["page"]), "utf-8")
        zhuge = [str(Path(sys.executable).with_name("zhuge")), "--config", str(config)]
        _say_where(together, kafka, ports, zhuge)
        _play(together, zhuge, ports, (trace, speed))
        _watch(together, kafka)


def settings(template: str, brokers: str, page_port: int) -> str:
    """configs/cluster.toml for this cluster: its brokers, its stores, its page."""
    if BROKERS not in template:
        raise ZhugeError(str(TEMPLATE), expected=BROKERS, got="another line", remedy="Mend it there or in cluster.py.")
    database = f"sqlite:{FOLDER / 'zhuge.sqlite'}"
    stores = "".join(f'{store} = "{database}"\n' for store in ("cstore", "control", "answers"))
    return (
        f"# Written by `make cluster` at each start, from configs/cluster.toml.\n\n[stores]\n{stores}"
        f'registry = "file:{FOLDER / "registry"}"\n\n[serve]\nport = {page_port}\n\n'
        + template.replace(BROKERS, f'brokers = "{brokers}"')
    )


def _say_where(together: Together, kafka: State, ports: Ports, zhuge: list[str]) -> None:
    for line in (
        f"The page:   http://{HOST}:{ports['page']}/",
        f"Ask:        {' '.join(zhuge)} window vm-000010",
        f"Kafka:      {kafka.facts['bootstrap']} (log {kafka.log})",
        *(f"{name:<12}http://{HOST}:{ports[name]}/metrics and /healthz" for name in ("ingest", "forecast")),
        "Ctrl-C stops all of it; the next start goes on from there, and ARGS=--fresh begins anew.",
    ):
        together.say(line)


def _play(together: Together, zhuge: list[str], ports: Ports, fed: tuple[str, str]) -> None:
    """Start what is missing; the first time also the fleet's past, and its training."""
    trace, speed = fed
    together.run("topics", [*zhuge, "topics", "--samples-partitions", str(PARTITIONS)])
    together.start("ingest", [*zhuge, "worker", "ingest", "--port", str(ports["ingest"])])
    together.start("serve", [*zhuge, "serve"])
    if not PREPARED.exists():
        together.say(f"The past of {trace} goes into Kafka, as fast as it goes.")
        together.run("feed", [*zhuge, "feed", trace])
        together.say("Ingest takes what is still in the topic.")
        _wait(together, lambda: caught_up(ports["ingest"]))
        if not together.run("train", [*zhuge, "forecast", "--train"], may_fail=True):
            together.say("No champion: see above. The lower rungs answer.")
            together.run("train", [*zhuge, "forecast"])
        PREPARED.touch()
    together.start("forecast", [*zhuge, "worker", "forecast", "--port", str(ports["forecast"])])
    together.start("feed", [*zhuge, "feed", trace, "--speed", speed])
    _wait(together, lambda: found_at(ports["page"]) is not None)
    together.say(f"Live at {speed} times real time: http://{HOST}:{ports['page']}/")


def _wait(together: Together, condition: Callable[[], bool]) -> None:
    while not condition():
        together.watch(LOOK_EVERY_S)


def caught_up(port: int) -> bool:
    """Whether the ingest worker at `port` has every partition, and has taken all of each."""
    found = found_at(port)
    if found is None:
        return False
    lags = [part["lag"] for part in found["partitions"].values()]
    return len(lags) == PARTITIONS and not found["behind"] and all(lag == 0 for lag in lags)


def found_at(port: int) -> dict[str, Any] | None:
    """What /healthz of a process says that is well; None where it is not there yet, or waits for something."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/healthz", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except OSError:
        return None


def _watch(together: Together, kafka: State) -> NoReturn:
    while True:
        together.watch(LOOK_EVERY_S)
        if not process.alive(kafka.process):
            words = process.tail(Path(kafka.log).read_text("utf-8", "replace"))
            got, remedy = "no such process any more", f"The end of {kafka.log}:\n{words}"
            raise ProcessDied("kafka ended", expected="a process that runs until Ctrl-C", got=got, remedy=remedy)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
