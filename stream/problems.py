"""Errors over HTTP: RFC 9457 problem+json that says what, expected, got and remedy, as the error tree does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import Response

from models.errors import BadInput, ZhugeError

_TITLES = {
    400: "Malformed request",
    404: "Not found",
    405: "Method not allowed",
    413: "Request too large",
    414: "Address too long",
    422: "Bad input",
    500: "Internal error",
    503: "Not available",
}
_MAX_GOT_CHARS = 120


class Problem(BaseModel):
    """What every error answers with, as application/problem+json."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:zhuge:bad-input",
                "title": "Bad input",
                "status": 422,
                "what": "minutes",
                "expected": "at most 120",
                "got": "500",
                "remedy": "/openapi.json says what each field may be.",
            }
        }
    )

    type: str
    title: str
    status: int
    what: str
    expected: str
    got: str
    remedy: str


# What every route may answer with beside its 200, for OpenAPI.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": _TITLES[code]} for code in (404, 422, 500, 503)
}


class NotFound(BadInput):
    """The address names nothing that is there: 404."""


class Malformed(BadInput):
    """The request cannot even be read: 400."""


def problem(status: int, error: ZhugeError, headers: Mapping[str, str] | None = None) -> Response:
    """The response for `error`; plain ASCII, so that whatever the caller sent can be shown to him."""
    title = _TITLES.get(status, "Refused")
    body = Problem(
        type=f"urn:zhuge:{title.lower().replace(' ', '-')}",
        title=title,
        status=status,
        what=_shown(error.what),
        expected=error.expected,
        got=_shown(error.got),
        remedy=error.remedy,
    )
    text = json.dumps(body.model_dump(), ensure_ascii=True)
    return Response(text, status, headers=headers, media_type="application/problem+json")


def add_handlers(app: FastAPI) -> None:
    """Every error of `app` answers with a problem."""
    app.add_exception_handler(ZhugeError, _on_own)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)


def _status(error: ZhugeError) -> int:
    match error:
        case NotFound():
            return 404
        case Malformed():
            return 400
        case BadInput():
            return 422
        case _:
            return 503


async def _on_own(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ZhugeError)  # noqa: S101 (the registration above says so)
    return problem(_status(error), error)


async def _on_validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = error.errors()
    others = ", ".join(_field(fault["loc"]) for fault in faults[1:4])
    more = f" Then mend {others}{' and more' if len(faults) > 4 else ''}." if others else ""
    kind = Malformed if faults[0]["type"] == "json_invalid" else BadInput
    own = kind(
        _field(faults[0]["loc"]),
        expected=_expected(faults[0]),
        got=_got(faults[0]),
        remedy=f"/openapi.json says what each field may be.{more}",
    )
    return problem(_status(own), own)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    path = request.url.path
    match error.status_code:
        case 404:
            expected, remedy = "an address that /openapi.json lists", "Percent-encode an id; a slash in it is %2F."
        case 405:
            allowed = (error.headers or {}).get("allow") or (error.headers or {}).get("Allow", "another method")
            expected, remedy = allowed, "Use that method."
        case 413:
            expected, remedy = "a smaller body", "Ask for fewer ids in one request."
        case _:
            expected, remedy = "a request as /openapi.json describes it", str(error.detail)
    got = request.method if error.status_code == 405 else ascii(path)
    return problem(error.status_code, BadInput(path, expected=expected, got=got, remedy=remedy), error.headers)


async def _on_bug(request: Request, _error: Exception) -> Response:
    own = ZhugeError(
        request.url.path,
        expected="an answer",
        got="a fault of ours",
        remedy="The server's log has the traceback: report it.",
    )
    return problem(500, own)


def _field(loc: Sequence[Any]) -> str:
    return ".".join(str(part) for part in loc[1:]) or "request body"


def _expected(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "extra_forbidden":
        return "a field that exists"
    if fault["type"] == "missing":
        return "a value"
    if fault["type"] == "json_invalid":
        return "JSON"
    text = str(fault["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _got(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "missing":
        return "none"
    if fault["type"] == "json_invalid":
        return str(fault["ctx"]["error"])
    return ascii(fault["input"])


def _shown(text: str) -> str:
    return text if len(text) <= _MAX_GOT_CHARS else f"{text[:_MAX_GOT_CHARS]}… ({len(text)} characters)"


def as_problem_json(description: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI description with every error under the media type that it is sent as. Changes it in place."""
    for operations in description["paths"].values():
        for operation in operations.values():
            for code, response in operation["responses"].items():
                content = response.get("content", {})
                if code >= "400" and "application/json" in content:
                    content["application/problem+json"] = content.pop("application/json")
    return description
