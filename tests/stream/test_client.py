"""The client against a served app: the API's answers and the API's own words, through a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from models.errors import BadInput, StoreError
from stream.client import Client
from stream.serve import bind, serving, url_of
from tests.stream.small_fleet import DAY, GAPPY, IDS, app_of, fill


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    stores = fill(tmp_path_factory.mktemp("fleet"))
    with serving(app_of(stores)) as url, Client(url) as client:
        yield client
    stores.close()


async def _hello(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def _broken(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("gone", 502)


ANOTHER = Starlette(routes=[Route("/v1/fleet", _hello), Route("/v1/vms/{rest:path}", _broken)])


def test_a_question_goes_out_and_its_answer_comes_back(client: Client) -> None:
    found = client.window(DAY, start="2026-03-10T20:00+05:45", deadline="2026-03-10T16:00Z", minutes=30, k=2)
    assert found["best"]["start"] == "2026-03-10T14:15Z"
    assert len(found["alternatives"]) == 2
    assert found["best"]["source"] == "forecast"
    later = client.window(DAY, start="2026-03-12T14:00Z", deadline="2026-03-13T12:00Z")
    assert (later["best"]["start"], later["best"]["source"]) == ("2026-03-13T00:00Z", "weekday")


@pytest.mark.parametrize("vm_id", IDS)
def test_each_id_is_found_as_it_is_spelled(client: Client, vm_id: str) -> None:
    assert client.window(vm_id)["vm_id"] == vm_id
    assert client.forecast(vm_id)["vm_id"] == vm_id
    assert client.history(vm_id)["vm_id"] == vm_id


def test_many_are_answered_in_order(client: Client) -> None:
    answers = client.windows(["nobody", *IDS], minutes=30, start="2026-03-10T14:00Z")
    assert [answer["vm_id"] for answer in answers] == ["nobody", *IDS]
    assert answers[0]["reason"] == "UNKNOWN"
    assert answers[1]["best"]["minutes"] == 30


def test_a_span_of_history(client: Client) -> None:
    found = client.history(GAPPY, step="1h", start="2026-03-10T02:00Z", to="2026-03-10T06:00Z")
    assert found["mean_pct"] == [5.0, None, None, 5.0]


def test_the_fleet(client: Client) -> None:
    assert client.fleet()["vms"] == len(IDS)


def test_a_refusal_is_bad_input_in_the_words_of_the_api(client: Client) -> None:
    with pytest.raises(BadInput) as refused:
        client.window(DAY, minutes=500)
    assert (refused.value.what, refused.value.got) == ("minutes", "'500'")
    with pytest.raises(BadInput) as unknown:
        client.forecast("nobody")
    assert (unknown.value.what, unknown.value.got) == ("VM id", "'nobody'")


def test_an_api_that_is_not_there_is_a_store_error() -> None:
    with bind("127.0.0.1", 0) as taken:
        url = url_of(taken)
    with Client(url) as client, pytest.raises(StoreError, match="zhuge serve"):
        client.fleet()


def test_a_server_that_fails_or_is_another_is_a_store_error() -> None:
    with serving(ANOTHER) as url, Client(url) as client:
        with pytest.raises(StoreError, match="502"):
            client.window(DAY)
        with pytest.raises(StoreError, match="JSON"):
            client.fleet()
