"""The control plane: every room's routes in one application, with one truthful OpenAPI document."""

import re
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from bartizan.foundation import errors
from bartizan.house import CAPABILITIES, VERSION, Bartizan

from .problems import MEDIA_TYPE, Problem, on_http, on_invalid, on_refusal

PREFIX = "/api/v1"
_WHY = {
    400: "The body is not what its content type says.",
    401: "Nobody is signed in, or the credential is no longer good.",
    403: "The caller may not do this; `permission` names what is missing.",
    404: "There is no such thing in this organization.",
    409: "The thing is not in a state that allows this.",
    413: "The body is larger than this API takes.",
    422: "The request does not have the declared shape; `errors` names each field.",
    429: "Too many attempts; `retry_after` says how many seconds to wait.",
    503: "Something this depends on is not answering; try again.",
}


def control_plane(house: Bartizan) -> FastAPI:
    """Build one application from every room's routes."""
    development = not house.settings.production
    plane = FastAPI(
        title="Bartizan",
        version=VERSION,
        summary="The enterprise layer of this application.",
        docs_url="/docs" if development else None,
        redoc_url="/redoc" if development else None,
        openapi_url="/openapi.json" if development else None,
        generate_unique_id_function=_operation_id,
        responses=_refusals(),
        exception_handlers={
            errors.BartizanError: on_refusal,
            RequestValidationError: on_invalid,
            HTTPException: on_http,
        },
        separate_input_output_schemas=True,
    )
    for capability in CAPABILITIES:
        if capability.routes:
            router = capability.routes(getattr(house, capability.name))
            plane.include_router(_described(router), prefix=PREFIX)
    return plane


def _described(router: APIRouter) -> APIRouter:
    """Give each route the summary its service method's docstring opens with."""
    for route in router.routes:
        if isinstance(route, APIRoute) and not route.summary and route.description:
            route.summary = route.description.split("\n")[0].rstrip(".")
    return router


def _operation_id(route: APIRoute) -> str:
    """Name an operation by its tag and method: ``api_keys_issue``; the SDKs are named after it."""
    tag = re.sub(r"\W+", "_", str(route.tags[0])).lower() if route.tags else "bartizan"
    verb = re.sub(r"\W+", "_", route.name)
    return f"{tag}_{verb}"


def _refusals() -> dict[int | str, dict[str, Any]]:
    return {
        status: {
            "description": why,
            "model": Problem,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, why in _WHY.items()
    }


def openapi(house: Bartizan) -> dict[str, Any]:
    """Write the OpenAPI document of the control plane."""
    return control_plane(house).openapi()
