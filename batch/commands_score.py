"""The command that judges a recorded fleet: score."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import click

from batch.files import make_folder, write_whole
from batch.plots import pictures
from batch.recorded import Samples
from batch.report import report
from batch.scoring import score_fleet
from batch.shown import days_to_show
from batch.spans import fleet_of
from batch.summary import as_json, as_text, rows_of
from models.effort import Effort
from models.minutes import parse_iso


class Door(Protocol):
    """What the command needs of the front door."""

    @property
    def effort(self) -> Effort:
        """How hard to train."""
        ...

    def read_trace(self, path: Path) -> tuple[Any, ...]:
        """The fields of `Samples`. BadInput where the file is no trace."""
        ...

    def bar(self, what: str) -> AbstractContextManager[Callable[[float, str], None]]:
        """A bar for the length of a block."""
        ...


@click.command(
    epilog="""\b
    Examples:
      zhuge score trace.parquet
      zhuge score trace.parquet --split 2026-03-01T00:00Z --out plots
      zhuge score trace.parquet --unseen 50 --json
    """
)
@click.argument("trace", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the plots.  [default: score]")
@click.option("--split", help="Learn before this whole hour, ISO 8601 with a zone.  [default: two thirds of the span]")
@click.option("--unseen", type=int, default=0, help="Ask only about this many VMs, kept out of training.")
@click.option("--json", "as_machine", is_flag=True, help="One JSON object instead of the table and lines.")
@click.pass_obj
def score(door: Door, trace: Path, out: Path | None, split: str | None, unseen: int, *, as_machine: bool) -> None:
    """Judge the choice of windows on TRACE: plain rules, plain XGBoost, ours, the oracle.

    TRACE is Parquet (vm, ts, cpu) of some ten days or more. A set is trained on its first part and asked every 29 hours
    after it. Prints a table and `name: value` lines; writes plots as PNG and one score.html.
    """
    minute = None if split is None else parse_iso(split)
    fleet, refused = fleet_of(Samples(*door.read_trace(trace)))
    folder = make_folder(Path("score") if out is None else out)
    # One thread: the same trees on every machine, and CPU seconds that are not spent on waiting.
    effort = replace(door.effort, threads=1, device="cpu")
    with door.bar("judging the trace") as update:
        scored = score_fleet(fleet, minute, effort, lambda share, note: update(0.95 * share, note), unseen)
        update(0.95, "plots")
        rows, days = rows_of(scored), days_to_show(scored)
        files = {**pictures(scored, rows, days), "score.html": report(trace.stem, scored, rows, days)}
        for name, data in files.items():
            write_whole(folder / name, data)
    click.echo(as_json(scored, rows) if as_machine else as_text(scored, rows))
    click.echo(f"{folder}: {', '.join(files)}", err=True)
    if refused:
        click.echo(f"{refused:,} values of the trace were refused: negative or above 655 %.", err=True)
