"""What a program is told about its limits: at every answer, and when it is refused."""

from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from bartizan.backbone.limits import Limits, TooManyRequests
from bartizan.doors.http.problems import refusal
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller

from .callers import MEMBER, key
from .conftest import Build


class Door:
    """As much of a gate as limits need: counts a request, says what is left, or refuses."""

    def __init__(self, limits: Limits, caller: Caller | None) -> None:
        self.limits, self.caller = limits, caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limits, caller = self.limits, self.caller
        buckets = (
            await limits.buckets_of(caller, "bearer") if caller else limits.address_bucket("203.0.113.9")
        )
        buckets += limits.route_buckets(scope["method"], scope["path"], caller, "203.0.113.9")
        verdict = await limits.take_shared(buckets) if limits.shared else limits.take(buckets)

        async def dressed(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *verdict.headers()]
            await send(message)

        if verdict.allowed:
            await dressed({"type": "http.response.start", "status": 200, "headers": []})
            await dressed({"type": "http.response.body", "body": b"fine"})
        else:
            await refusal(limits.refusal(verdict))(scope, receive, dressed)


def client(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test")


def told(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if "ratelimit" in name}


@pytest.mark.feature("RATE-02", "RATE-05")
async def test_every_answer_says_what_is_left(build: Build, clock: ManualClock) -> None:
    async with client(Door(build(), MEMBER)) as http:
        answer = await http.get("/")
        assert answer.status_code == 200
        assert told(answer) == {
            "ratelimit-limit": "20",
            "ratelimit-remaining": "19",
            "ratelimit-reset": "3",
            "ratelimit": '"user";r=19;t=3',
            "ratelimit-policy": '"organization";q=200;w=120, "user";q=20;w=60',
            "x-ratelimit-tenant": "limit=200, remaining=199",
        }
        for _ in range(5):
            answer = await http.get("/")
        assert told(answer)["ratelimit"] == '"user";r=14;t=18'
        clock.advance(60)
        assert told(await http.get("/"))["ratelimit-remaining"] == "19"


@pytest.mark.feature("RATE-02", "RATE-05")
async def test_a_refusal_says_what_was_hit_and_how_long_to_wait(build: Build, clock: ManualClock) -> None:
    async with client(Door(build({"user": "2/minute"}), MEMBER)) as http:
        for _ in range(2):
            assert (await http.get("/")).status_code == 200
        answer = await http.get("/")
        assert answer.status_code == 429
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "30"
        body = answer.json()
        assert (body["error"], body["code"]) == ("rate_limit_exceeded", "too-many-requests")
        assert (body["retry_after"], body["limit"], body["remaining"], body["scope"], body["rate"]) == (
            30,
            2,
            0,
            "user",
            "2/minute",
        )
        assert told(answer)["ratelimit-remaining"] == "0"
        assert told(answer)["x-ratelimit-tenant"] == "limit=200, remaining=198"
        clock.advance(body["retry_after"])
        assert (await http.get("/")).status_code == 200


@pytest.mark.feature("RATE-02")
async def test_the_organizations_limit_refuses_whoever_comes_last(build: Build) -> None:
    limits = build({"organization": "60/minute burst 3"})
    answers = []
    for number in range(5):
        async with client(Door(limits, MEMBER if number % 2 else key())) as http:
            answers.append(await http.get("/"))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].json()["scope"] == "organization"
    assert answers[-1].headers["x-ratelimit-tenant"] == "limit=3, remaining=0"


@pytest.mark.feature("RATE-02", "RATE-01")
async def test_a_stranger_is_told_too_but_of_no_organization(build: Build) -> None:
    async with client(Door(build({"address": "1/minute", "routes": {"* /x": "1/hour"}}), None)) as http:
        first = await http.get("/")
        assert told(first)["ratelimit-policy"] == '"address";q=1;w=60'
        assert "x-ratelimit-tenant" not in first.headers
        assert (await http.get("/")).json()["scope"] == "address"


@pytest.mark.feature("RATE-01")
async def test_a_route_has_the_lower_word(build: Build) -> None:
    async with client(Door(build({"routes": {"POST /x": "1/minute"}}), MEMBER)) as http:
        answers = [await http.post("/x"), await http.post("/x"), await http.get("/x")]
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert answers[1].json()["scope"] == "route"


async def test_large_numbers_are_written_too(build: Build) -> None:
    limits = build({"user": "1/hour burst 1", "organization": "900000/hour"})
    buckets = await limits.buckets_of(MEMBER, "bearer")
    organization = dict(limits.take(buckets[:1]).headers())
    assert organization[b"ratelimit-remaining"] == b"899999"
    person = dict(limits.take(buckets[1:]).headers())
    assert (person[b"ratelimit-remaining"], person[b"ratelimit-reset"]) == (b"0", b"3600")


async def test_the_refusal_is_a_sentence_for_people(build: Build) -> None:
    limits = build({"user": "1/minute"})
    buckets = await limits.buckets_of(MEMBER, "bearer")
    assert limits.take(buckets).retry_after == 0
    error = limits.refusal(limits.take(buckets))
    assert isinstance(error, TooManyRequests)
    assert str(error) == "The limit of this user is 1/minute. Try again in 60 s."
