"""Any id works in a path: it is answered, or refused in words; never a 5xx, and never another VM's answer."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fleet import MAX_ID_CHARS
from tests.stream.small_fleet import EMPTY, IDS, OLD, ask, load_pct

SUFFIXES = ("", "/window", "/forecast", "/history")


def encoded(vm_id: str) -> str:
    return quote(vm_id, safe="").replace(".", "%2E")


@pytest.mark.parametrize("vm_id", IDS)
def test_each_id_gets_its_own_answer(app: FastAPI, vm_id: str) -> None:
    answers = [ask(app, f"/v1/vms/{encoded(vm_id)}{suffix}") for suffix in SUFFIXES]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert [answer.json()["vm_id"] for answer in answers] == [vm_id] * 4
    if vm_id not in (EMPTY, OLD) and vm_id not in IDS[:3]:
        assert answers[1].json()["best"]["expected_load_pct"] == load_pct(vm_id, 0)


@settings(max_examples=150)
@given(vm_id=st.text(max_size=2 * MAX_ID_CHARS), suffix=st.sampled_from(SUFFIXES))
def test_no_id_is_ever_a_fault(app: FastAPI, vm_id: str, suffix: str) -> None:
    response = ask(app, f"/v1/vms/{encoded(vm_id)}{suffix}")
    if response.status_code == 200:
        assert response.json()["vm_id"] == vm_id
        assert vm_id in IDS
    else:
        assert response.status_code in (404, 414)
        assert response.headers["content-type"] == "application/problem+json"
        assert vm_id not in IDS


@settings(max_examples=150)
@given(raw=st.text(alphabet="%/.?#aA0fF- é\\", max_size=40))
def test_no_raw_path_is_ever_a_fault(app: FastAPI, raw: str) -> None:
    assert ask(app, f"/v1/vms/{raw}").status_code in (200, 400, 404, 422)


@settings(max_examples=60)
@given(prefix=st.text(max_size=300), cursor=st.text(max_size=300))
def test_no_prefix_or_cursor_is_ever_a_fault(app: FastAPI, prefix: str, cursor: str) -> None:
    response = ask(app, "/v1/vms", params={"prefix": prefix, "cursor": cursor})
    if len(prefix) <= MAX_ID_CHARS and len(cursor) <= MAX_ID_CHARS:
        found = [vm["vm_id"] for vm in response.json()["vms"]]
        assert found == sorted(vm_id for vm_id in IDS if vm_id.startswith(prefix) and vm_id > cursor)
    else:
        assert response.status_code == 422


def test_bytes_that_are_no_text_are_refused(app: FastAPI) -> None:
    response = ask(app, "/v1/vms/%FF%FE/window")
    assert (response.status_code, response.json()["title"]) == (400, "Malformed request")


def test_a_slash_that_is_not_encoded_is_no_part_of_an_id(app: FastAPI) -> None:
    response = ask(app, "/v1/vms/a/b/window")
    assert response.status_code == 404
    assert "%2F" in response.json()["remedy"]


def test_an_id_of_300_characters_is_a_clear_4xx(app: FastAPI) -> None:
    response = ask(app, f"/v1/vms/{'y' * 300}/window")
    assert (response.status_code, response.json()["what"]) == (404, "VM id")


def test_an_address_without_end_is_refused(app: FastAPI) -> None:
    response = ask(app, f"/v1/vms/{'%F0%9F%9A%80' * 1_000}/window")
    assert response.status_code == 414
    assert "POST /v1/windows" in response.json()["remedy"]
