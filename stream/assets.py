"""The operator's page and BokehJS, served by us: no request leaves the machine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from models.errors import StoreError

PAGE_DIR = Path(__file__).parent / "page"


def add_page(app: FastAPI) -> None:
    """Serve the page at `/`, its assets at `/page/` and BokehJS at `/bokeh/`. StoreError where BokehJS is missing."""
    app.mount("/page", StaticFiles(directory=PAGE_DIR), name="page")
    app.mount("/bokeh", StaticFiles(directory=bokeh_js_dir()), name="bokeh")
    app.add_api_route("/", _index, include_in_schema=False)


def bokeh_js_dir() -> Path:
    """Where the installed bokeh package keeps its JavaScript; found without importing bokeh, which takes a second."""
    spec = find_spec("bokeh")
    places = spec.submodule_search_locations if spec is not None else None
    js_dir = Path(next(iter(places or ("bokeh",)))) / "server" / "static" / "js"
    if not (js_dir / "bokeh.min.js").is_file():
        raise StoreError(
            "BokehJS", expected=f"bokeh.min.js in {js_dir}", got="no such file", remedy="Install bokeh again."
        )
    return js_dir


async def _index() -> FileResponse:
    return FileResponse(PAGE_DIR / "index.html")
