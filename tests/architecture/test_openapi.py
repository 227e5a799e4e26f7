"""The OpenAPI document says all there is, and says it once; that it is true is for schemathesis to show."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from bartizan.doors.http import openapi
from bartizan.house import CAPABILITIES, Bartizan

PROBLEM = "application/problem+json"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Bartizan]:
    house = Bartizan(
        {"environment": "test", "data_dir": str(tmp_path), "database": f"sqlite:///{tmp_path}/none.db"}
    )
    yield house
    house.identity.close()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            yield f"{verb.upper()} {path}", operation


def served(router: APIRouter, prefix: str) -> Iterator[tuple[str, str]]:
    """List what a router answers, whether it says so or not."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield from ((verb, prefix + route.path) for verb in route.methods or ())
        elif isinstance(inner := getattr(route, "original_router", None), APIRouter):
            yield from served(inner, prefix)


@pytest.mark.feature("GEN-02")
def test_every_route_is_in_the_document(house: Bartizan) -> None:
    told = {name for name, _ in operations(openapi(house))}
    there = {
        f"{verb} {path}"
        for capability in CAPABILITIES
        if capability.routes
        for verb, path in served(capability.routes(getattr(house, capability.name)), "/api/v1")
    }
    assert there == told


@pytest.mark.feature("GEN-01", "GEN-02")
def test_every_operation_has_a_name_of_its_own_and_a_sentence(house: Bartizan) -> None:
    found = dict(operations(openapi(house)))
    names = Counter(operation["operationId"] for operation in found.values())
    assert [
        name for name, times in names.items() if times > 1 or not re.fullmatch(r"[a-z][a-z_]+", name)
    ] == []
    for name, operation in found.items():
        assert operation["tags"], name
        assert len(operation["summary"].split()) > 1, name
        assert operation["description"], name
        assert "``" not in operation["summary"], name


@pytest.mark.feature("GEN-02")
def test_every_refusal_is_a_problem_document(house: Bartizan) -> None:
    document = openapi(house)
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                response = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
                assert set(response["content"]) == {PROBLEM}, (name, status)
                assert response["content"][PROBLEM]["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert {"401", "403", "404", "422", "429"} <= set(operation["responses"]), name
