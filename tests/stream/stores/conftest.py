"""The one place that names the implementations: each conformance suite runs once for every one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.stores.open import Stores, open_stores


@pytest.fixture(params=["sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new and empty store of each kind; another process may open it too."""
    match request.param:
        case "sqlite":
            return f"sqlite:{tmp_path / 'store.db'}"
        case other:
            raise AssertionError(other)


@pytest.fixture
def stores(url: str) -> Iterator[Stores]:
    opened = open_stores(url, url, url)
    yield opened
    opened.close()
