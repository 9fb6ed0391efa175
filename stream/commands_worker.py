"""The commands that work until they are stopped: worker ingest, worker forecast, worker receive."""

from __future__ import annotations

import sys

import click

from stream.front import Front


@click.group()
def worker() -> None:
    """Run one worker process until Ctrl-C or SIGTERM (exit code 130), logging JSON lines to standard error.

    Each serves /healthz and /metrics, and ends with code 1 after a crash: let something restart it.
    """


port_option = click.option(
    "--port", type=int, help="Port of /healthz and /metrics (0: a free one).  [default: worker.port]"
)


@worker.command(
    epilog="""\b
    Examples:
      zhuge worker ingest                    the only source that the settings declare
      zhuge worker ingest --source telegraf  one of several; each may have several workers
    """
)
@click.option("--source", help="Name of the source in the settings.  [default: the only one]")
@port_option
@click.pass_obj
def ingest(front: Front, source: str | None, port: int | None) -> None:
    """Take a source's samples from Kafka into 5-minute and hourly means."""
    from stream.run_ingest import run_ingest  # noqa: PLC0415 (Faust takes a second, which no other command pays)

    sys.exit(run_ingest(front.settings, source, port))


@worker.command(
    epilog="""\b
    Examples:
      zhuge worker forecast
      zhuge worker forecast --port 9100
    """
)
@port_option
@click.pass_obj
def forecast(front: Front, port: int | None) -> None:
    """Forecast the fleet whenever an hour has closed; store migrations that happened; load models when released."""
    from stream.run_forecast import run_forecast  # noqa: PLC0415

    sys.exit(run_forecast(front.settings, port))


@worker.command(
    epilog="""\b
    Examples:
      zhuge worker receive
      zhuge worker receive --source libvirt --host 0.0.0.0 --port 9201
    """
)
@click.option("--source", help="Source whose topic is written.  [default: receive.source]")
@click.option("--host", help="Address to listen on.  [default: receive.host]")
@click.option("--port", type=int, help="TCP port; 0: a free one.  [default: receive.port]")
@click.pass_obj
def receive(front: Front, source: str | None, host: str | None, port: int | None) -> None:
    """Receive Prometheus remote-write and write it to a source's topic."""
    from stream.run_receive import run_receive  # noqa: PLC0415

    run_receive(front.settings, source, host, port)
