"""A client of the API: what a migration controller calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx

from models.errors import BadInput, StoreError

Answer = dict[str, Any]  # JSON as the API's OpenAPI describes it
_TIMEOUT_S = 60.0


class Client:
    """`with Client("http://127.0.0.1:8080") as client: client.window("vm-000123", minutes=30)`.

    Answers are the API's JSON. BadInput where the API refuses the question (4xx), with its own words; StoreError
    where it cannot be reached or fails (5xx).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx.Client(base_url=url, timeout=_TIMEOUT_S)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def window(self, vm_id: str, **question: str | float) -> Answer:
        """The answer for one VM; `question` as in GET /v1/vms/{id}/window (`from` is spelled `start`)."""
        return self._ask("GET", f"/v1/vms/{_path(vm_id)}/window", params=_named(question))

    def windows(self, vm_ids: Sequence[str], **question: str | float) -> list[Answer]:
        """One answer for each of up to 10,000 ids, in order."""
        found: list[Answer] = self._ask("POST", "/v1/windows", json={"ids": list(vm_ids), **_named(question)})[
            "answers"
        ]
        return found

    def forecast(self, vm_id: str) -> Answer:
        """The stored forecast of one VM."""
        return self._ask("GET", f"/v1/vms/{_path(vm_id)}/forecast")

    def history(self, vm_id: str, **span: str) -> Answer:
        """The stored means of one VM: `step` 5m or 1h, `start`, `to`."""
        return self._ask("GET", f"/v1/vms/{_path(vm_id)}/history", params=_named(span))

    def yesterday(self, vm_id: str) -> Answer:
        """What became of one VM's window of the newest judged day."""
        return self._ask("GET", f"/v1/vms/{_path(vm_id)}/yesterday")

    def judgements(self, **question: int) -> list[Answer]:
        """What became of the logged forecasts, by day, model and rung, the newest first; `limit` days."""
        found: list[Answer] = self._ask("GET", "/v1/judgements", params=question)["judgements"]
        return found

    def fleet(self) -> Answer:
        """The fleet in one look."""
        return self._ask("GET", "/v1/fleet")

    def _ask(self, method: str, path: str, **content: Any) -> Answer:  # noqa: ANN401 (httpx's own)
        try:
            response = self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise StoreError(
                f"API at {self._url}", expected="an answer", got=str(error), remedy="Is it up? Start it: zhuge serve."
            ) from error
        if response.is_success:
            return self._body(response)
        kind = BadInput if response.is_client_error else StoreError
        said = _problem(response)
        raise kind(
            said.get("what", f"{method} {path}"),
            expected=said.get("expected", "a 2xx answer"),
            got=said.get("got", f"{response.status_code} {response.reason_phrase}"),
            remedy=said.get("remedy", "See the API's log."),
        )

    def _body(self, response: httpx.Response) -> Answer:
        try:
            body: Answer = response.json()
        except ValueError as error:
            got = response.headers.get("content-type", "a body of no type")
            raise StoreError(
                f"API at {self._url}", expected="JSON", got=got, remedy="Is it Xiao Zhuge's address? Another answers."
            ) from error
        return body


def _path(vm_id: str) -> str:
    """The id as one path segment; its dots too, which would else be taken for `.` and `..`."""
    return quote(vm_id, safe="").replace(".", "%2E")


def _named(question: dict[str, Any]) -> dict[str, Any]:
    return {"from" if name == "start" else name: value for name, value in question.items()}


def _problem(response: httpx.Response) -> dict[str, str]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
