"""The control plane: every room's routes in one application, with one truthful OpenAPI document."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from bartizan.foundation import errors
from bartizan.house import CAPABILITIES, VERSION, Bartizan

from .problems import MEDIA_TYPE, Problem, on_fault, on_http, on_invalid, on_refusal

PREFIX = "/api/v1"
_WHY = {
    400: "The body is not what its content type says.",
    401: "Nobody is signed in, or the credential is no longer good.",
    402: "The plan of this organization does not include this, or not so many.",
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
    plane = _Plane(
        title="Bartizan",
        version=VERSION,
        summary="The enterprise layer of this application.",
        docs_url="/docs" if development else None,
        redoc_url="/redoc" if development else None,
        openapi_url="/openapi.json" if development else None,
        generate_unique_id_function=_operation_id,
        responses={422: {"model": Problem}},  # the rest is added to the document
        exception_handlers={
            errors.BartizanError: on_refusal,
            RequestValidationError: on_invalid,
            HTTPException: on_http,
            Exception: on_fault,
        },
        separate_input_output_schemas=True,
    )
    for capability in CAPABILITIES:
        if capability.routes:
            router = capability.routes(getattr(house, capability.name))
            plane.include_router(_described(router), prefix=PREFIX)
    return plane


class _Plane(FastAPI):
    """An application whose document names each refusal once, as the problem document that it is."""

    def openapi(self) -> dict[str, Any]:
        """Give the OpenAPI document; it is written once."""
        if self.openapi_schema is None:
            document = super().openapi()
            document["components"]["responses"] = {
                _named(status): _refusal(why) for status, why in _WHY.items()
            }
            for verbs in document["paths"].values():
                for operation in verbs.values():
                    for status in _WHY:
                        named = {"$ref": f"#/components/responses/{_named(status)}"}
                        operation["responses"][str(status)] = named
        assert self.openapi_schema is not None
        return self.openapi_schema


def _named(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _refusal(why: str) -> dict[str, Any]:
    return {"description": why, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def _described(router: APIRouter) -> APIRouter:
    """Give each route the summary its service method's docstring opens with."""
    for route in _all(router):
        if not route.summary and route.description:
            route.summary = (
                " ".join(route.description.split("\n\n")[0].split()).rstrip(".").replace("``", "`")
            )
    return router


def _all(router: APIRouter) -> Iterator[APIRoute]:
    """Find the routes of a router and of those it includes; newer FastAPI keeps these apart."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif isinstance(inner := getattr(route, "original_router", None), APIRouter):
            yield from _all(inner)


def _operation_id(route: APIRoute) -> str:
    """Name an operation by its service and method: ``api_keys_issue``; the SDKs are named after it.

    A route that has a name of its own, because two lead to one method, is called by that.
    """
    method = getattr(route.endpoint, "__name__", route.name)
    if route.name != method:
        return route.name
    bound: object = getattr(route.endpoint, "__self__", None)
    owner = type(bound)
    if bound is None or owner.__name__.startswith("_"):
        service = route.endpoint.__module__.split(".")[-2]  # what routes.py adds belongs to its room
    else:
        service = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", owner.__name__).lower()
    return f"{service}_{method}"


def openapi(house: Bartizan) -> dict[str, Any]:
    """Write the OpenAPI document of the control plane."""
    return control_plane(house).openapi()
