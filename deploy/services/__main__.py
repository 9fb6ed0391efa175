"""`python -m deploy.services start|stop|status`: the servers that the tests and `make cluster` need.

Python's standard library is enough. Each server has a folder under data/services; its server.json says where it
listens. `start` is a no-op where it runs already.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.services import server
from deploy.services.kafka import KAFKA
from models.errors import ZhugeError

SERVICES = {service.name: service for service in (KAFKA,)}
BAD_INPUT, INTERRUPTED = 2, 130


def main() -> int:
    """Run one command on the named servers, all of them by default; exit code 2 where one cannot be started."""
    parser = argparse.ArgumentParser(prog="python -m deploy.services", description="The servers that the tests need.")
    parser.add_argument("command", choices=("start", "stop", "status"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(SERVICES)}  [default: all]")
    parser.add_argument(
        "--home", type=Path, default=server.HOME, help="their data, logs and ports files  [default: data/services]"
    )
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in SERVICES]:
        parser.error(f"no such server: {', '.join(unknown)}")
    try:
        for name in given.names or SERVICES:
            _say(f"{name}: {_do(given.command, name, given.home.resolve())}")
    except ZhugeError as error:
        sys.stderr.write(f"services: {error}\n")
        return BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write("services: stopped; `make services` goes on from here\n")
        return INTERRUPTED
    return 0


def _do(command: str, name: str, home: Path) -> str:
    folder = home / name
    if command == "stop":
        return "stopped" if server.stop(folder) else "nothing to stop"
    if command == "status" and not server.running(folder):
        return "not running"
    state = server.running(folder) if command == "status" else None
    state = state or server.start(SERVICES[name], folder, home)
    return (
        f"{state.facts['bootstrap']} (pid {state.process.pid}, log {state.log}, for clients: {folder / 'server.json'})"
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
