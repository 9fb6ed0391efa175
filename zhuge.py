"""The front door: the console command `zhuge`. It only wires the rooms and mounts their commands."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from batch.commands import train_from_stores
from models.errors import ZhugeError
from stream.client import Client
from stream.commands import demo, forecast, replay, serve
from stream.commands_ask import config, plot, window
from stream.commands_dead import dead
from stream.commands_feed import feed
from stream.commands_kafka import inventory, topics
from stream.commands_worker import worker
from stream.front import Front, stores_in
from stream.settings import load_settings

__all__ = ["Client", "main"]

BAD_INPUT, INTERRUPTED = 2, 130


@click.group(
    epilog="""\b
    Examples:
      zhuge demo --once
      zhuge window vm-000123
      zhuge --data data/mine serve --port 9000
    """
)
@click.option("--config", "path", type=click.Path(), help="A TOML file.  [default: ZHUGE_CONFIG or embedded.toml]")
@click.option("--data", type=click.Path(path_type=Path), help="Keep the stores and models in this folder.")
@click.version_option(package_name="xiao-zhuge")
@click.pass_context
def cli(context: click.Context, path: str | None, data: Path | None) -> None:
    """Xiao Zhuge predicts each VM's load and tells the migration controller the best window to move it."""
    overrides = {} if data is None else {f"stores.{key}": value for key, value in stores_in(data).items()}
    context.obj = Front(load_settings(path, overrides), train_from_stores)


for command in (demo, serve, replay, forecast, window, plot, config, worker, topics, inventory, dead, feed):
    cli.add_command(command)


def main() -> NoReturn:
    """Run a command; exit code 2 for bad input, 130 after Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(BAD_INPUT)
    except ZhugeError as error:
        click.echo(f"zhuge: {error}", err=True)
        sys.exit(BAD_INPUT)
    except (click.Abort, KeyboardInterrupt):
        click.echo("zhuge: stopped; what was stored is whole.", err=True)
        sys.exit(INTERRUPTED)
    sys.exit(0)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
