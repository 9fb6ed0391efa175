"""What the tests of the tools' commands start from: a configuration that names the tests' broker, and a way to ask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from stream.kafka import Connection, Topics, topics_of
from tests.services import Kafka
from zhuge import cli


@dataclass(frozen=True, slots=True)
class Asked:
    """One fleet on the tests' broker, with a source `hosts` and stores of its own."""

    folder: Path
    kafka: Kafka
    prefix: str

    @property
    def own(self) -> Connection:
        return Connection((self.kafka.bootstrap,))

    @property
    def topics(self) -> Topics:
        return topics_of(self.prefix)

    @property
    def samples(self) -> str:
        return f"{self.prefix}cpu.hosts"

    def configured(self, source: str = 'format = "host-json"\nunit = "percent"') -> Path:
        path, data = self.folder / "zhuge.toml", self.folder / "zhuge.sqlite"
        path.write_text(
            f'[stores]\ncstore = "sqlite:{data}"\ncontrol = "sqlite:{data}"\nanswers = "sqlite:{data}"\n'
            f'[kafka]\nbrokers = "{self.kafka.bootstrap}"\nprefix = "{self.prefix}"\n'
            f'[sources.hosts]\ntopic = "{self.samples}"\n{source}\n'
        )
        return path

    def ask(self, *arguments: str, answer: str | None = None) -> str:
        """What a command prints. What it raises is raised here."""
        config = self.folder / "zhuge.toml"
        if not config.exists():
            self.configured()
        arguments = ("--config", str(config), *arguments)
        return CliRunner().invoke(cli, arguments, input=answer, catch_exceptions=False, standalone_mode=False).stdout


def numbers(said: str) -> dict[str, int]:
    """The `name: 7` lines."""
    pairs = (line.strip().partition(": ") for line in said.splitlines())
    return {name: int(number) for name, _, number in pairs if number.isdigit()}
