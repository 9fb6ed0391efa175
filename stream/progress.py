"""What a person sees of long work: a bar for each step, on standard error, so that results alone go to the output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

_console = Console(stderr=True, highlight=False)


@contextmanager
def bar(what: str) -> Iterator[Callable[[float, str], None]]:
    """A bar for the length of the block; call `update(share, note)` with the share done (0 to 1) and a word on it."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=_console) as progress:
        task = progress.add_task(what, total=1.0, note="")
        yield lambda share, note: progress.update(task, completed=min(share, 1.0), note=note)
        progress.update(task, completed=1.0)


def say(text: str) -> None:
    """A plain sentence for the person who watches."""
    _console.print(text, markup=False)
