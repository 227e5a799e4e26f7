"""Routes of frameworks other than Starlette are seen by what they say of themselves."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

import bartizan
from bartizan.doors.frameworks import Wsgi
from bartizan.doors.guard.policy import SOCKET, InvalidPolicy, Policy, survey


def view() -> Any:
    return lambda: "said"


@dataclass
class FlaskLike:
    """What an application of Flask tells about its routes."""

    view_functions: dict[str, Any]
    url_map: Any = field(init=False)

    def __post_init__(self) -> None:
        rules = [SimpleNamespace(rule="/<int:number>/<path:rest>", endpoint="one", methods={"GET", "HEAD"})]
        self.url_map = SimpleNamespace(iter_rules=lambda: iter(rules))

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


def litestar_like(function: Any) -> Any:
    handler = SimpleNamespace(fn=function)
    http = SimpleNamespace(path="/x/{n:int}", path_format="/x/{n}", methods={"GET"}, route_handlers=[handler])
    socket = SimpleNamespace(path="/live", path_format="/live", route_handler=SimpleNamespace(fn=view()))
    return SimpleNamespace(routes=[http, socket, SimpleNamespace(path=None)])


def test_flasks_routes_are_seen_through_the_face_that_it_gets() -> None:
    (route,) = survey(Wsgi(FlaskLike({"one": view()})))
    assert (route.methods, route.template) == (frozenset({"GET", "HEAD"}), "/{number}/{rest:path}")


def test_litestars_routes_are_seen() -> None:
    http, socket = survey(litestar_like(view()))
    assert (http.methods, http.template) == (frozenset({"GET"}), "/x/{n}")
    assert (socket.methods, socket.template) == (frozenset({SOCKET}), "/live")


@pytest.mark.parametrize("make", [lambda marked: FlaskLike({"one": marked}), litestar_like])
def test_a_decorator_that_could_not_be_enforced_there_stops_start_up(make: Any) -> None:
    with pytest.raises(InvalidPolicy, match="the gate cannot enforce a decorator here"):
        Policy(host=make(bartizan.public(view()))).check()
