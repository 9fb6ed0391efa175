"""The README's commands on a real Kafka, in their order: samples in, windows out, and a feed moves the page."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stream.api import create_app
from stream.front import stores_in
from stream.kafka import Connection
from stream.kafka_tools import producer
from stream.opened import deps_of, opened
from stream.serve import serving
from stream.settings import load_settings
from tests.services import Kafka
from tests.stream import browsing
from tests.stream.worker_processes import started, until, write_config, zhuge
from tests.test_frame import README_COMMANDS

SOURCE = """
[sources.hosts]
topic = "{prefix}cpu.hosts"
format = "host-json"
unit = "percent"
"""
INVENTORY = "vm_id,host,from,vcpus,blackout\nextra-1,host-new,2026-03-01T00:00Z,4,22:00-06:00\n"


class Cli:
    """The README's `zhuge` lines, with one test's stores and settings."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.folder, self.config = folder, config

    def line(self, *words: str) -> list[str]:
        """The command of the next README line that begins with these words."""
        split = [shlex.split(line)[1:] for line in README_COMMANDS if line.startswith("zhuge ")]
        found = [arguments for arguments in split if arguments[: len(words)] == list(words)]
        assert len(found) == 1, found
        arguments = [str(self.folder / word) if word.endswith(".csv") else word for word in found[0]]
        return zhuge(self.folder / "data", self.config, *arguments)

    def run(self, *words: str) -> str:
        """Its output, once it has ended well."""
        command = [sys.executable, *self.line(*words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.mark.slow
@pytest.mark.browser
def test_the_kafka_commands_of_the_readme_run_and_a_feed_moves_the_page(
    kafka: Kafka, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "vms.csv").write_text(INVENTORY)
    (tmp_path / "data").mkdir()
    cli = Cli(tmp_path, write_config(tmp_path, kafka.bootstrap, prefix, SOURCE.format(prefix=prefix)))
    assert f"{prefix}cpu.hosts: 4 partitions, made" in cli.run("topics")
    commands = cli.line("worker", "ingest"), cli.line("worker", "forecast")
    with started(commands[0], tmp_path) as ingest, started(commands[1], tmp_path) as forecast:
        ingest.well()
        forecast.well()
        assert "records: 1" in cli.run("inventory", "push")
        assert "samples: " in cli.run("feed", "synthetic:vms=40,days=2", "--until")
        with producer(Connection((kafka.bootstrap,))) as sender:
            sender.send(f"{prefix}cpu.hosts", b"h", b'{"host": ')
        the_page_moves(cli)
        until(lambda: "malformed" in cli.run("dead", "list"))
        assert "1" in cli.run("dead", "replay")
        assert ingest.well()["status"] == forecast.well()["status"] == "ok"


def the_page_moves(cli: Cli) -> None:
    """Opened before the live feed and not loaded again, it goes on from one closed hour to the next."""
    stores = {f"stores.{key}": url for key, url in stores_in(cli.folder / "data").items()}
    with opened(load_settings(cli.config, stores).settings) as fleet, serving(create_app(deps_of(fleet))) as address:
        until(lambda: fleet.stores.catalogue.find(["extra-1"]))
        until(lambda: list(fleet.stores.forecasts.latest()))
        with browsing.chromium() as browser, browsing.opened(browser, address) as page:
            before = page.inner_text("#data-through")
            with started(cli.line("feed", "synthetic:vms=40,days=2", "--speed"), cli.folder) as feed:
                page.wait_for_function("was => document.querySelector('#data-through').textContent !== was", arg=before)
                code, _ = feed.stop(signal.SIGINT)
            assert code == 130
