"""API v1: the app, its health and its OpenAPI description."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.responses import Response

from models.errors import StoreError
from models.forecast import Reason, Rung
from stream import api_fleet, api_judgements, api_series, api_vms, api_windows
from stream.api_deps import Deps, State, StateIn
from stream.api_models import Health
from stream.assets import add_page
from stream.edge import edged
from stream.metrics import CONTENT_TYPE, exposition, measured, new_metrics, set_counts, set_judged
from stream.problems import PROBLEMS, add_handlers, as_problem_json
from stream.stores.judgements import newest_judgements, read_judged
from stream.summary import Summaries, Summary

__all__ = ["Deps", "create_app"]

router = APIRouter(tags=["health"])


def create_app(deps: Deps) -> FastAPI:
    """The ASGI app over these stores: API v1, the page at `/`, health and metrics."""
    metrics = new_metrics()
    app = FastAPI(
        title="Xiao Zhuge",
        version=version("xiao-zhuge"),
        summary="Each VM's load, and the best window to migrate it.",
        description=(
            "Times are ISO 8601 in UTC, loads percent of the VM's allocation, null is not known. Percent-encode ids "
            "in an address (a slash is %2F). Errors are problem+json: what, expected, got, remedy."
        ),
        docs_url=None,  # its assets would come from another host
        redoc_url=None,
        redirect_slashes=False,
        middleware=[Middleware(measured, metrics=metrics), Middleware(edged)],
    )
    app.state.zhuge = State(deps, Summaries(deps.stores.forecasts, deps.limits.stale_after_min), metrics)
    add_handlers(app)
    for part in (api_windows, api_vms, api_series, api_judgements, api_fleet):
        app.include_router(part.router)
    app.include_router(router)
    add_page(app)
    describe = app.openapi
    app.openapi = lambda: as_problem_json(describe())  # type: ignore[method-assign]
    return app


@router.get("/healthz", operation_id="getHealth", summary="Whether the process is there")
async def healthz() -> Health:
    """Asks no store."""
    return Health(status="ok")


@router.get(
    "/readyz",
    operation_id="getReady",
    summary="Whether it can answer",
    responses={503: PROBLEMS[503]},
)
def readyz(state: StateIn) -> Health:
    """Ready where the stores answer and at least one forecast is there."""
    state.now()
    if next(iter(state.deps.stores.forecasts.latest()), None) is None:
        raise StoreError(
            "forecasts",
            expected="at least one",
            got="none",
            remedy="Wait for the first hour to close, or run `zhuge forecast`.",
        )
    return Health(status="ok")


@router.get("/metrics", operation_id="getMetrics", summary="Prometheus metrics", response_class=Response)
def metrics(state: StateIn) -> Response:
    """Requests by route and code, their latency, the state of the fleet, and how its newest judged day went."""
    minute = state.now()
    _set_fleet(state, state.summaries.at(minute), minute)
    set_judged(state.metrics, newest_judgements(read_judged(state.deps.stores.control)))
    return Response(exposition(state.metrics), media_type=CONTENT_TYPE)


def _set_fleet(state: State, total: Summary, minute: int) -> None:
    set_counts(state.metrics.rungs, {rung.name.lower(): int(total.rungs[rung]) for rung in Rung})
    set_counts(state.metrics.reasons, {reason.name: int(total.reasons[reason]) for reason in Reason if reason})
    state.metrics.coverage.set(total.coverage)
    if total.data_through is not None:
        state.metrics.data_age_s.set(60 * max(0, minute - total.data_through))
