"""Saying no over HTTP: RFC 9457 problem documents from one table."""

from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from bartizan.foundation import errors
from bartizan.foundation.context import current

STATUS: dict[type, int] = {
    errors.Invalid: 422,
    errors.Unauthenticated: 401,
    errors.PaymentRequired: 402,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooMany: 429,
    errors.Unavailable: 503,
    errors.Fault: 500,
}
MEDIA_TYPE = "application/problem+json"
DOCS = "https://bartizan.dev/errors/"
_OWN = frozenset({"type", "title", "status", "detail", "code", "instance", "request_id"})
_MOST_ERRORS = 20
_SOON = "5"  # seconds: most outages that pass at all pass quickly


class FieldProblem(BaseModel):
    """One field that must change before the request can succeed."""

    model_config = ConfigDict(extra="allow")

    field: str = Field(description="Where: `body.name`, `query.limit`, `path.key_id`.")
    message: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Address of the documentation of this problem.")
    title: str = Field(description="What kind of problem this is, in a sentence.")
    status: int = Field(description="The HTTP status, again.")
    detail: str = Field(description="What happened this time, and what to do about it.")
    code: str = Field(description="Stable name for programs.")
    request_id: str | None = Field(default=None, description="Quote this when asking for help.")
    errors: list[FieldProblem] | None = Field(default=None, description="Field by field, for 422.")


def status_of(error: errors.BartizanError) -> int:
    """Find the HTTP status of an error by its kind."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def document(
    *, status: int, code: str, title: str, detail: str = "", facts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write the body of a problem document."""
    origin = current.origin
    return {
        "type": DOCS + code,
        "title": title,
        "status": status,
        "detail": detail or title,
        "code": code,
        **({"request_id": origin.request_id} if origin else {}),
        **{name: value for name, value in (facts or {}).items() if name not in _OWN},
    }


def response(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Answer with a problem document."""
    extra = dict(headers or {})
    if (seconds := body.get("retry_after")) is not None:
        extra.setdefault("retry-after", str(max(1, int(seconds))))
    elif body["status"] == STATUS[errors.Unavailable]:
        extra.setdefault("retry-after", _SOON)
    if body["status"] == STATUS[errors.Unauthenticated]:
        extra.setdefault("www-authenticate", 'Bearer realm="bartizan"')
    extra.setdefault("cache-control", "no-store")
    return JSONResponse(dict(body), int(body["status"]), extra, MEDIA_TYPE)


def refusal(error: errors.BartizanError) -> JSONResponse:
    """Answer with what a room raised."""
    return response(
        document(
            status=status_of(error),
            code=error.code,
            title=error.title,
            detail=str(error),
            facts=error.facts,
        )
    )


async def on_refusal(_request: Request, error: Exception) -> JSONResponse:
    """Turn what a room raised into an answer."""
    assert isinstance(error, errors.BartizanError)
    return refusal(error)


async def on_invalid(_request: Request, error: Exception) -> JSONResponse:
    """Turn a request that does not fit the declared shape into a 422 that names each field."""
    assert isinstance(error, RequestValidationError)
    found = [
        {"field": ".".join(str(part) for part in item["loc"]), "message": str(item["msg"])}
        for item in error.errors()[:_MOST_ERRORS]
    ]
    first = found[0]
    detail = f"{first['field']}: {first['message']}."
    title = "The request does not have the shape that this operation takes."
    return response(
        document(
            status=422,
            code="invalid-request",
            title=title,
            detail=detail,
            facts={"field": first["field"], "errors": found},
        )
    )


async def on_http(_request: Request, error: Exception) -> JSONResponse:
    """Turn the framework's own refusals (no such path, wrong method) into problem documents."""
    assert isinstance(error, HTTPException)
    code = {404: "no-such-path", 405: "method-not-allowed", 400: "bad-request"}.get(
        error.status_code, f"http-{error.status_code}"
    )
    body = document(status=error.status_code, code=code, title=str(error.detail))
    return response(body, error.headers)


async def on_fault(_request: Request, _error: Exception) -> JSONResponse:
    """Answer what nobody expected; the gate logs it."""
    return fault()


def fault() -> JSONResponse:
    """Answer when something broke; what it was goes to the log, never to the caller."""
    title = "Something on our side is broken."
    detail = "It has been logged. Quote the request id when you ask for help."
    return response(document(status=500, code="fault", title=title, detail=detail))
