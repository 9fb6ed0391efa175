"""The API over the small fleet, filled once a file; a file that needs another store defines its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from stream.stores.open import Stores
from tests.stream.small_fleet import app_of, fill


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    stores = fill(tmp_path_factory.mktemp("fleet"))
    yield stores
    stores.close()


@pytest.fixture(scope="module")
def app(stores: Stores) -> FastAPI:
    return app_of(stores)
