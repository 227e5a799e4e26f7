"""An answer that is given again is the same to the byte, however it was sent; a stream is left alone."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from bartizan.access.idempotency import Answer, Claim, Idempotency, IdempotencySettings
from bartizan.doors.http.idempotent import Idempotent
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller
from bartizan.foundation.database import Database
from tests.harness.keys import keyring

from .conftest import until

ADA = Caller(id="usr_ada", kind="user", org_id="org_acme", user_id="usr_ada")
LIMIT = 2000
TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_!#$%&'*+.^`|~", min_size=1, max_size=20)
NAMES = TOKEN.map(str.encode) | st.sampled_from([b"Location", b"content-type", b"ETag", b"Vary", b"X-A"])
VALUES = st.binary(max_size=40).map(
    lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
)
NOT_AGAIN = [
    (b"Set-Cookie", b"a=b"),
    (b"Date", b"Sat, 21 Nov 2026 07:00:00 GMT"),
    (b"Connection", b"close, X-Hop"),
    (b"x-hop", b"1"),
    (b"Keep-Alive", b"5"),
    (b"X-Request-Id", b"req_1"),
]


@dataclass
class Wire:
    """A server's end of one request."""

    pieces: Sequence[bytes] = (b"",)
    sent: list[Message] = field(default_factory=list)
    leaves: int = 10_000
    """After how many messages the client is gone."""

    async def receive(self) -> Message:
        if not self.pieces:
            return {"type": "http.disconnect"}
        piece, *self.pieces = self.pieces
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces)}

    async def send(self, message: Message) -> None:
        if len(self.sent) >= self.leaves:
            raise ConnectionResetError
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.sent if m["type"] == "http.response.body")

    @property
    def whole(self) -> bool:
        return bool(self.sent) and not self.sent[-1].get("more_body", False) and len(self.sent) > 1


class Step:
    """The step with an app that follows a script."""

    def __init__(self, database: Database) -> None:
        self.keys = Idempotency(database, keyring(), IdempotencySettings(max_answer=LIMIT), clock=Clock())
        self.step = Idempotent(self.keys)
        self.runs = 0
        self.heard: list[bytes] = []
        self.numbers = itertools.count()

    async def ask(self, key: str, script: Sequence[Message], wire: Wire | None = None, **scope: Any) -> Wire:
        wire = wire or Wire()

        async def run(scope: Scope, receive: Receive, send: Send) -> None:
            self.runs += 1
            body, more = b"", True
            while more:
                message = await receive()
                body += message["body"]
                more = message["more_body"]
            self.heard.append(body)
            for part in script:
                await send(dict(part))

        asked = {
            "type": "http", "method": "POST", "path": "/x", "query_string": b"",
            "headers": [(b"idempotency-key", key.encode())], **scope,
        }  # fmt: skip
        await self.step(ADA, asked, wire.receive, wire.send, run)
        return wire


@pytest.fixture
async def step(database: Database) -> AsyncGenerator[Step]:
    step = Step(database)
    yield step
    await step.keys.close()


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def part(body: bytes, more: bool = True) -> Message:  # noqa: FBT001, FBT002
    return {"type": "http.response.body", "body": body, "more_body": more}


ANSWERS = st.tuples(
    st.integers(200, 499).filter(lambda status: status not in {408, 425, 429}),
    st.lists(st.tuples(NAMES, VALUES), max_size=8),
    st.lists(st.binary(max_size=300), max_size=5),
    st.lists(st.sampled_from(NOT_AGAIN), max_size=3),
    st.sampled_from(["none", "told", "last empty"]),
)


@pytest.mark.feature("RATE-07")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_answer_is_given_again_to_the_byte(database_url: str) -> None:
    with asyncio.Runner() as runner:
        database = Database(database_url)
        step = Step(database)

        @settings(max_examples=80)
        @given(ANSWERS)
        def every_answer(
            answer: tuple[int, list[tuple[bytes, bytes]], list[bytes], list[tuple[bytes, bytes]], str],
        ) -> None:
            status, headers, pieces, extra, style = answer
            kinds = {b"content-length", b"content-type", b"connection"}
            plain = [pair for pair in headers if pair[0].lower() not in kinds]
            body = b"".join(pieces)
            if style != "none":
                plain.append((b"Content-Length", str(len(body)).encode()))
            parts = [part(piece) for piece in pieces]
            if style == "last empty" or not parts:
                parts.append(part(b""))
            parts[-1] = {**parts[-1], "more_body": False}
            script = [start(status, *extra, *plain), *parts]
            key = f"k{next(step.numbers)}"
            before = step.runs
            first = runner.run(step.ask(key, script))
            again = runner.run(step.ask(key, [start(599), part(b"", more=False)]))
            assert step.runs == before + 1
            assert first.body == again.body == body
            assert first.sent[0] == script[0]
            # what the app's own Connection header names is of that connection
            hop = {b"x-hop"} if (b"Connection", b"close, X-Hop") in extra else set()
            dropped = {b"set-cookie", b"date", b"connection", b"keep-alive", b"x-request-id"} | hop
            kept = [pair for pair in (*extra, *plain) if pair[0].lower() not in dropped]
            assert again.sent[0]["status"] == status
            assert again.sent[0]["headers"] == [*kept, (b"idempotency-replayed", b"true")]

        every_answer()
        runner.run(step.keys.close())
        runner.run(database.close())


@settings(max_examples=200)
@given(st.integers(100, 599), st.lists(st.tuples(st.binary(), st.binary())), st.binary())
def test_an_answer_is_read_as_it_was_written(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    answer = Answer(status, tuple(headers), body)
    assert Answer.unpack(answer.pack()) == answer


@pytest.mark.feature("RATE-07")
async def test_the_app_hears_the_body_as_it_was_sent(step: Step) -> None:
    ok = [start(), part(b"ok", more=False)]
    for pieces in ([b""], [b"one", b"two", b""], [secrets.token_bytes(700_000) for _ in range(4)]):
        await step.ask(f"k{next(step.numbers)}", ok, Wire(list(pieces)))
        assert step.heard[-1] == b"".join(pieces)
    lost = await step.ask("lost", ok, Wire([]))
    assert lost.sent == []
    assert step.runs == 3


@pytest.mark.feature("RATE-07")
async def test_the_end_leaves_only_when_the_answer_is_stored(step: Step) -> None:
    """A client that has all the bytes it was promised finds its answer again, whatever happens next."""
    keys, seen = step.keys, list[list[bytes | None]]()
    keep, wire = keys.keep, Wire()

    async def watched(claim: Claim, answer: Answer | None) -> bool:
        seen.append([message.get("body") for message in wire.sent])
        return await keep(claim, answer)

    keys.keep = watched  # type: ignore[method-assign]
    told = (b"content-length", b"6")
    for script, left in (
        ([start(), part(b"all", more=False)], []),
        ([start(), part(b"one"), part(b"two"), part(b"", more=False)], [None, b"one", b"two"]),
        ([start(200, told), part(b"one"), part(b"two"), part(b""), part(b"", more=False)], [None, b"one"]),
        ([start(), part(b""), part(b"one", more=False)], [None]),
    ):
        wire = Wire()
        await step.ask(f"k{next(step.numbers)}", script, wire)
        assert seen.pop() == left
        assert wire.whole
        assert wire.body == b"".join(message.get("body", b"") for message in script[1:])


@pytest.mark.feature("RATE-07")
@pytest.mark.parametrize("kind", ["declared", "grown", "events", "headers"])
async def test_what_is_too_long_or_a_stream_passes_and_is_not_kept(step: Step, kind: str) -> None:
    scripts = {
        "declared": [start(200, (b"content-length", b"3000")), part(b"x" * 3000, more=False)],
        "grown": [start(), part(b"x" * 1500), part(b"x" * 1500), part(b"", more=False)],
        "events": [start(200, (b"content-type", b"text/event-stream; charset=utf-8")), part(b"data: 1\n\n"),
                   part(b"", more=False)],
        "headers": [start(200, *[(b"x-a", b"1")] * 1001), part(b"x", more=False)],
    }  # fmt: skip
    script = scripts[kind]
    first = await step.ask("k1", script)
    assert first.sent == script
    again = await step.ask("k1", script)
    assert again.sent[0]["status"] == 409
    assert b"answer-not-kept" in again.body
    assert step.runs == 1


async def test_a_stream_is_passed_on_as_it_comes(step: Step) -> None:
    wire, go_on = Wire(), asyncio.Event()

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, (b"content-type", b"text/event-stream")))
        await go_on.wait()
        await send(part(b"", more=False))

    scope = {"type": "http", "method": "POST", "path": "/x", "headers": [(b"idempotency-key", b"k")]}
    task = asyncio.create_task(step.step(ADA, scope, wire.receive, wire.send, run))
    await until(lambda: len(wire.sent) == 1)
    go_on.set()
    await task


@pytest.mark.feature("RATE-07")
async def test_a_client_that_left_finds_its_answer(step: Step) -> None:
    script = [start(201), part(b"one"), part(b"two"), part(b"", more=False)]
    for leaves in range(3):
        key = f"k{leaves}"
        await step.ask(key, script, Wire(leaves=leaves))
        again = await step.ask(key, [])
        assert (again.sent[0]["status"], again.body) == (201, b"onetwo")
    with pytest.raises(ConnectionResetError):
        await step.ask("last", script, Wire(leaves=3))
    assert (await step.ask("last", [])).body == b"onetwo"
    long = [start(), *[part(b"x" * 1500)] * 5, part(b"", more=False)]
    with pytest.raises(ConnectionResetError):
        await step.ask("long", long, Wire(leaves=3))
    assert (await step.ask("long", long)).body == b"x" * 7500


async def test_ways_round_the_copy_are_not_offered(step: Step) -> None:
    seen: list[Scope] = []

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "http.response.debug", "info": {}})
        await send(start())
        await send(part(b"", more=False))
        await send(part(b"too late", more=False))

    offered: dict[str, Any] = {"http.response.pathsend": {}, "tls": {}, "http.response.trailers": {}}
    scope = {"type": "http", "method": "PUT", "path": "/x", "headers": [(b"idempotency-key", b"k")]}
    wire = Wire()
    await step.step(ADA, {**scope, "extensions": offered}, wire.receive, wire.send, run)
    assert seen[0]["extensions"] == {"tls": {}}
    assert wire.sent[0]["type"] == "http.response.debug"


def test_a_request_without_a_key_is_not_its_concern() -> None:
    step = Idempotent(Idempotency(None, keyring(), clock=Clock()))  # type: ignore[arg-type]
    key = (b"idempotency-key", b"k")
    assert step.concerns({"method": "POST", "headers": [key]})
    assert not step.concerns({"method": "POST", "headers": [(b"accept", b"*/*")]})
    for method in ("GET", "HEAD", "OPTIONS", "TRACE"):
        assert not step.concerns({"method": method, "headers": [key]})
