"""The front door: the console command `zhuge`. It only wires the rooms and mounts their commands."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
import numpy as np

from models.effort import Effort
from models.errors import ZhugeError
from models.minutes import Minute
from stream.client import Client
from stream.front import Front, Progress, Rows, stores_in
from stream.progress import bar
from stream.settings import load_settings
from stream.stores.open import Stores

__all__ = ["Client", "main"]

BAD_INPUT, INTERRUPTED = 2, 130
COMMANDS = {
    "demo": "stream.commands",
    "serve": "stream.commands",
    "replay": "stream.commands",
    "forecast": "stream.commands",
    "window": "stream.commands_ask",
    "plot": "stream.commands_ask",
    "config": "stream.commands_ask",
    "score": "batch.commands_score",
    "worker": "stream.commands_worker",
    "topics": "stream.commands_kafka",
    "inventory": "stream.commands_kafka",
    "dead": "stream.commands_dead",
    "feed": "stream.commands_feed",
}


class _Commands(click.Group):
    """Loads a command when it is asked for: nobody waits for the libraries of the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's)
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name]), cmd_name)
        return command


@click.group(
    cls=_Commands,
    epilog="""\b
    Examples:
      zhuge demo --once
      zhuge window vm-000123
      zhuge --data data/mine serve --port 9000
    """,
)
@click.option("--config", "path", type=click.Path(), help="A TOML file.  [default: ZHUGE_CONFIG or embedded.toml]")
@click.option("--data", type=click.Path(path_type=Path), help="Keep the stores and models in this folder.")
@click.version_option(package_name="xiao-zhuge")
@click.pass_context
def cli(context: click.Context, path: str | None, data: Path | None) -> None:
    """Xiao Zhuge predicts each VM's load and tells the migration controller the best window to move it."""
    overrides = {} if data is None else {f"stores.{key}": value for key, value in stores_in(data).items()}
    context.obj = Front(load_settings(path, overrides), _train, _read_trace, bar)


def _train(stores: Stores, registry: str, effort: Effort, end: Minute, progress: Progress) -> None:
    from batch.commands import train_from_stores  # noqa: PLC0415 (xgboost only where something is trained)

    train_from_stores(stores, registry, effort, end, progress)


def _read_trace(path: Path) -> Rows:
    from stream.traces import read_columns  # noqa: PLC0415 (pyarrow only where a trace is read)

    rows = read_columns(path)
    return tuple(rows.ids), rows.interval_min, rows.vm.astype(np.int64), rows.ts_s, rows.cpu


def main() -> NoReturn:
    """Run a command; exit code 2 for bad input, 130 after Ctrl-C or SIGTERM."""
    # OpenMP's threads wait by spinning where nothing is said: beside another process training then takes four times as
    # long. XGBoost reads this when it is loaded, which is not yet.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
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
