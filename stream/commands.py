"""The commands that run something: demo, serve, replay, forecast."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import click

from models.errors import BadInput, StoreError
from models.minutes import Clock, format_iso
from stream.api import create_app
from stream.clock import now as clock_now
from stream.clock import write_clock
from stream.demo import Replay, Report, ask_all, prepare, running
from stream.forecasting import Outcome
from stream.front import Front, stores_in
from stream.live import Fleet, follow
from stream.opened import deps_of, opened
from stream.progress import bar, say
from stream.replay import open_trace
from stream.serve import serve as serve_app
from stream.serve import serving
from stream.settings import EMBEDDED, Loaded, Settings, masked


@click.command(
    epilog="""\b
    Examples:
      zhuge demo                                the synthetic fleet, then live at 60x until Ctrl-C
      zhuge demo --once                         the same once, with a count of every VM's answer
      zhuge demo --once --trace trace.parquet   a recorded fleet (columns vm, ts, cpu)
    """
)
@click.option("--once", is_flag=True, help="Ask for every VM's window, print the counts, and end.")
@click.option("--trace", type=click.Path(), help="A Parquet file: vm string, ts epoch seconds UTC, cpu percent.")
@click.option("--keep-times", is_flag=True, help="Leave series that ended earlier where they are: they are STALE.")
@click.option("--fresh", is_flag=True, help="Remove this demo's data first.")
@click.option("--port", type=int, help="Port of the page and the API (0: a free one).  [default: serve.port]")
@click.pass_obj
def demo(front: Front, once: bool, trace: str | None, keep_times: bool, fresh: bool, port: int | None) -> None:
    """Show the main job: a fleet's past goes in, forecasts and migration windows come out, then it goes on live."""
    settings = _demo_settings(front.loaded, trace, port)
    if fresh:
        _remove(settings)
    url = f"replay:{trace}" if trace else settings.demo.trace
    with opened(settings) as fleet:
        say(f"Xiao Zhuge: {url} replayed into {settings.stores.cstore}, forecast and served.")
        source = open_trace(url, keep_times=keep_times)
        replay, hour_s = prepare(source, fleet, lambda end, update: front.train(fleet.stores, settings, end, update))
        _say_refused_samples(replay)
        app = create_app(deps_of(fleet))
        if once:
            with serving(app, settings.serve.host, 0) as address:
                _print_report(ask_all(address, [vm.life.vm_id for vm in fleet.newest()], hour_s))
            return
        with serving(app, settings.serve.host, settings.serve.port) as address:
            _say_where(address, settings)
            _go_on(replay, fleet)


def _demo_settings(loaded: Loaded, trace: str | None, port: int | None) -> Settings:
    """A recorded trace gets stores of its own, unless some were named: it must not meet the synthetic fleet's."""
    settings = loaded.settings
    stores, serve = settings.stores, settings.serve
    if trace is not None and loaded.origins["stores.cstore"] in ("default", str(EMBEDDED)):
        stores = stores.model_copy(update=stores_in(Path("data") / Path(trace).stem))
    if port is not None:
        serve = serve.model_copy(update={"port": port})
    return settings.model_copy(update={"stores": stores, "serve": serve})


def _remove(settings: Settings) -> None:
    """Every file that this demo wrote: its database with SQLite's two companions, and its registry."""
    for url in {settings.stores.cstore, settings.stores.control, settings.stores.answers}:
        if not url.startswith("sqlite:"):
            raise BadInput("--fresh", expected="stores at sqlite:", got=masked(url), remedy="Empty that one yourself.")
        for suffix in ("", "-wal", "-shm"):
            Path(url.removeprefix("sqlite:") + suffix).unlink(missing_ok=True)
    if settings.stores.registry.startswith("file:"):
        shutil.rmtree(settings.stores.registry.removeprefix("file:"), ignore_errors=True)


def _say_refused_samples(replay: Replay) -> None:
    counts = replay.ingest.counts
    told = ", ".join(f"{name} {counts[name]:,}" for name in sorted(counts)) or "none that had not been taken before"
    say(f"Samples by what became of them: {told}.")


def _print_report(report: Report) -> None:
    click.echo(f"vms: {report.vms}")
    click.echo(f"forecast: {report.forecasts}")
    click.echo(f"windows: {report.windows}")
    click.echo(f"refused: {sum(report.refused.values())}")
    click.echo(f"hour_to_windows_s: {report.hour_to_windows_s:.2f}")
    for reason, count in sorted(report.refused.items()):
        click.echo(f"refused_{reason}: {count}")
    for rung, count in sorted(report.rungs.items()):
        click.echo(f"rung_{rung}: {count}")
    click.echo(f"flagged: {report.flagged}")


def _say_where(address: str, settings: Settings) -> None:
    say(f"The page: {address}/   the API: {address}/openapi.json   metrics: {address}/metrics")
    folder = Path(settings.stores.cstore.partition(":")[2]).parent
    say(f"Ask for a window: .venv/bin/zhuge --data {folder} window VM   (or GET {address}/v1/vms/VM/window)")
    say(f"Live at {settings.demo.speed:g} times real time; Ctrl-C stops, and the next start goes on from there.")


def _go_on(replay: Replay, fleet: Fleet) -> None:
    def told(outcome: Outcome) -> None:
        at = format_iso(clock_now(fleet.stores.control, time.time()))
        say(f"{at}  an hour closed: {outcome.forecasts:,} forecasts, {outcome.windows:,} windows")

    if replay.ended:
        say("The recording has ended, so its clock stands still.")
        while True:
            time.sleep(1)
    with running(replay, fleet):
        follow(replay.ingest, fleet, told)


@click.command(
    epilog="""\b
    Examples:
      zhuge serve
      zhuge serve --host 0.0.0.0 --port 9000
    """
)
@click.option("--host", help="Address to listen on.  [default: serve.host]")
@click.option("--port", type=int, help="TCP port; 0: a free one.  [default: serve.port]")
@click.pass_obj
def serve(front: Front, host: str | None, port: int | None) -> None:
    """Serve the API and the page from what is stored, until Ctrl-C."""
    settings = front.settings
    with opened(settings) as fleet:
        at = (settings.serve.host if host is None else host, settings.serve.port if port is None else port)
        serve_app(create_app(deps_of(fleet)), *at, said=lambda url: say(f"Serving {url}/ until Ctrl-C."))


@click.command(
    epilog="""\b
    Examples:
      zhuge replay synthetic:vms=200,days=16
      zhuge --data data/mine replay replay:trace.parquet
    """
)
@click.argument("source")
@click.option("--keep-times", is_flag=True, help="Leave series that ended earlier where they are.")
@click.pass_obj
def replay(front: Front, source: str, keep_times: bool) -> None:
    """Take a trace's past into the stores: 5-minute and hourly means, no forecasts yet.

    SOURCE is replay:FILE (Parquet: vm, ts, cpu) or synthetic: with options.
    """
    with opened(front.settings) as fleet:
        trace = open_trace(source, keep_times=keep_times)
        write_clock(fleet.stores.control, Clock())
        took = Replay(trace, fleet)
        took.run_to(trace.now, "minutes into means")
        took.close_hour(trace.now + front.settings.ingest.close_delay_min)
        for name, count in sorted(took.ingest.counts.items()):
            click.echo(f"{name}: {count}")


@click.command(
    epilog="""\b
    Examples:
      zhuge forecast
      zhuge forecast --train
    """
)
@click.option("--train", "train_first", is_flag=True, help="Train a champion on the stored hours first.")
@click.pass_obj
def forecast(front: Front, train_first: bool) -> None:
    """Forecast every VM once, as of the fleet's clock, and store the windows."""
    with opened(front.settings) as fleet:
        now = clock_now(fleet.stores.control, time.time())
        if train_first:
            with bar("training on the stored hours") as update:
                front.train(fleet.stores, front.settings, fleet.first_open_hour(now), update)
        with bar("forecasts and windows") as update:
            outcome = fleet.forecast(now, lambda done, of: update(done / of, f"{done:,} VMs"))
        if not outcome.vms:
            raise StoreError(
                "fleet", expected="VMs in the store", got="none", remedy="Feed it first: zhuge replay or zhuge demo."
            )
        fleet.judge(now)
        for name in ("vms", "forecasts", "windows"):
            click.echo(f"{name}: {getattr(outcome, name)}")
        for reason, count in sorted(outcome.refused.items()):
            click.echo(f"refused_{reason}: {count}")
