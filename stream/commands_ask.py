"""The commands that ask something: window, plot, config."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TypedDict, Unpack

import click
import numpy as np

from models.calibration import DEFAULT
from models.minutes import DAY_MIN, HOUR_MIN, Span, floor_to, parse_iso
from stream.answer import Subject, answer
from stream.api_deps import known_subject
from stream.api_models import WindowAnswer, WindowOut
from stream.api_windows import window_answers
from stream.clock import now as clock_now
from stream.front import Front
from stream.opened import deps_of, opened
from stream.plot import Picture, draw, save
from stream.question import Question
from stream.settings import describe
from stream.stores.history import read_steps


class Options(TypedDict):
    """The question's options as they come from the command line."""

    minutes: int | None
    start: str | None
    deadline: str | None
    k: int
    max_load: float | None
    min_confidence: float | None


@click.command(
    epilog="""\b
    Examples:
      zhuge window vm-000123
      zhuge window vm-000123 --minutes 30 --deadline 2026-03-10T20:00Z --max-load 50
      zhuge window vm-000123 --json
    """
)
@click.argument("vm")
@click.option("--minutes", type=int, help="Length, 10 to 120.  [default: windows.default_minutes]")
@click.option("--from", "start", help="Not before this time, ISO 8601 with a zone.  [default: now]")
@click.option("--deadline", help="Done by this time, up to 7 days ahead.  [default: 24 hours from now]")
@click.option("--k", type=int, default=3, show_default=True, help="How many windows, the best one among them.")
@click.option("--max-load", type=float, help="Mean load in percent at most.  [default: the VM's policy, the settings]")
@click.option("--min-confidence", type=float, help="Least P(load <= max-load), 0 to 1.  [default: the settings]")
@click.option("--json", "as_json", is_flag=True, help="The answer as the API gives it.")
@click.pass_obj
def window(front: Front, vm: str, as_json: bool, **options: Unpack[Options]) -> None:
    """The best window to migrate VM, whether now would do, and alternatives."""
    minutes = options["minutes"]
    question = Question(
        minutes=front.settings.windows.default_minutes if minutes is None else minutes,
        start=None if options["start"] is None else parse_iso(options["start"]),
        deadline=None if options["deadline"] is None else parse_iso(options["deadline"]),
        max_load_pct=options["max_load"],
        min_confidence=options["min_confidence"],
        k=options["k"],
    )
    with opened(front.settings) as fleet:
        subject = Subject(vm, *known_subject(fleet.stores, vm))
        now = clock_now(fleet.stores.control, time.time())
        (found,) = window_answers(deps_of(fleet), [subject], question, now)
    click.echo(found.model_dump_json(indent=2) if as_json else _in_words(found))


def _in_words(found: WindowAnswer) -> str:
    lines = [f"{found.vm_id}: {found.detail}"]
    for name, one in [("best", found.best), ("now", found.now), ("earliest", found.earliest_acceptable)]:
        if one is not None:
            lines.append(f"  {name:<9} {_window(one)}")
    lines += [f"  or        {_window(one)}" for one in found.alternatives[1:]]
    if found.best is not None and found.best.regret_expected is not None:
        lines.append("  regret expected: 0 = the best time there is, 1 = any time")
    lines.append(f"  rung {found.rung}, model {found.model}, data through {found.data_through}")
    return "\n".join(lines)


def _window(one: WindowOut) -> str:
    verdict = "acceptable" if one.acceptable else f"breaks {', '.join(one.violates)}"
    load = f"expected {one.expected_load_pct:.1f} %, P90 {one.p90_load_pct:.1f} %"
    sure = f"confidence {one.confidence:.2f}"
    if one.regret_expected is not None:
        sure += f", regret expected {one.regret_expected:.2f}"
    return f"{one.start} to {one.end}  {load}, {sure}, {verdict}, {one.source}"


@click.command(
    epilog="""\b
    Examples:
      zhuge plot vm-000123
      zhuge plot vm-000123 --out picture.png
    """
)
@click.argument("vm")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The PNG to write.  [default: VM.png]")
@click.pass_obj
def plot(front: Front, vm: str, out: Path | None) -> None:
    """Draw VM as a PNG: 14 days, tomorrow's forecast with its bound, the chosen windows, and now."""
    with opened(front.settings) as fleet:
        known, forecast = known_subject(fleet.stores, vm)
        now = clock_now(fleet.stores.control, time.time())
        deps = deps_of(fleet)
        calibration = DEFAULT if forecast is None else deps.calibration(forecast.model)
        minutes = front.settings.windows.default_minutes
        said = answer(Subject(vm, known, forecast), Question(minutes=minutes), now, deps.limits, calibration)
        start = floor_to(now, HOUR_MIN) - 14 * DAY_MIN
        history, _ = read_steps(fleet.stores.series, known, HOUR_MIN, Span(start, floor_to(now, HOUR_MIN)))
    hours = None if forecast is None or said.best is None else forecast.record
    picture = Picture(
        title=vm,
        note=f"{said.detail} Rung {said.rung}.",
        now=now,
        history_start=start,
        history=history,
        forecast_start=now if forecast is None else forecast.first_minute,
        p50=np.zeros(0) if hours is None else hours["p50"] / 100.0,
        p90=np.zeros(0) if hours is None else hours["p90"] / 100.0,
        windows=tuple((window.start, window.minutes) for window in said.alternatives),
    )
    path = Path(f"{re.sub(r'[^A-Za-z0-9._-]', '_', vm)}.png") if out is None else out
    save(draw(picture), path)
    click.echo(f"{path}: {said.detail}")


@click.command(
    epilog="""\b
    Examples:
      zhuge config
      zhuge --config my.toml config
    """
)
@click.pass_obj
def config(front: Front) -> None:
    """What is in force, and where each value came from; passwords are masked."""
    for shown in describe(front.loaded):
        click.echo(f"{shown.key} = {shown.value}   ({shown.origin})\n    {shown.description}")
