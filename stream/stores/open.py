"""Which driver a URL names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from models.errors import BadInput
from stream.stores.protocols import Catalogue, Control, Forecasts, Outcomes, Series
from stream.stores.sqlite import Database
from stream.stores.sqlite_catalogue import SqliteCatalogue
from stream.stores.sqlite_control import SqliteControl
from stream.stores.sqlite_forecasts import SqliteForecasts
from stream.stores.sqlite_outcomes import SqliteOutcomes
from stream.stores.sqlite_series import SqliteSeries


class Stores(NamedTuple):
    """The open stores, for use from any thread until `close()`."""

    series: Series
    catalogue: Catalogue
    forecasts: Forecasts
    control: Control
    outcomes: Outcomes
    close: Callable[[], None]


def open_stores(cstore: str, control: str, answers: str) -> Stores:
    """Series, catalogue and outcomes at `cstore`, control records at `control`, forecasts at `answers`; one URL may
    serve all.

    A URL is `sqlite:PATH`, relative or absolute; the file and its folders are made where there are none. BadInput
    where a URL names nothing that exists; StoreError where the store cannot be opened, or is not one of ours.
    """
    opened: dict[str, Stores] = {}

    def close() -> None:
        for stores in opened.values():
            stores.close()

    try:
        for url in (cstore, control, answers):
            if url not in opened:
                opened[url] = _open(url)
    except BaseException:
        close()
        raise
    at = opened[cstore]
    return Stores(at.series, at.catalogue, opened[answers].forecasts, opened[control].control, at.outcomes, close)


def _open(url: str) -> Stores:
    scheme, colon, rest = url.partition(":")
    match scheme if colon else "":
        case "sqlite":
            database = Database(_sqlite_path(url, rest))
            return Stores(
                SqliteSeries(database),
                SqliteCatalogue(database),
                SqliteForecasts(database),
                SqliteControl(database),
                SqliteOutcomes(database),
                database.close,
            )
        case _:
            raise BadInput(
                "URL of a store", expected="sqlite:PATH", got=repr(url), remedy="Write it like sqlite:data/fleet.db."
            )


def _sqlite_path(url: str, rest: str) -> Path:
    if rest in ("", ":memory:") or rest.startswith("//"):
        raise BadInput(
            "URL of a SQLite store",
            expected="sqlite:PATH with the path of a file, relative or absolute",
            got=repr(url),
            remedy="Write it like sqlite:data/fleet.db or sqlite:/var/lib/zhuge/fleet.db; it is never in memory.",
        )
    return Path(rest)
