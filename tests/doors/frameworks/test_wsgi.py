"""The face that WSGI applications get: PEP 3333, streamed both ways, with what is ambient."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any, cast
from wsgiref.validate import validator

import httpx
import pytest
from starlette.types import Message

from bartizan.doors.frameworks import Wsgi, speaks_wsgi, wrap
from bartizan.doors.testing import Cast, anyone, program
from bartizan.foundation.context import current

Environ = dict[str, Any]
Start = Callable[..., Callable[[bytes], None]]
asking: ContextVar[str] = ContextVar("asking", default="nobody")


def scope(
    path: str = "/", *, method: str = "GET", headers: Iterable[tuple[bytes, bytes]] = (), **more: Any
) -> Environ:
    return {
        "type": "http", "method": method, "path": path, "query_string": b"a=1", "headers": list(headers),
        "scheme": "https", "server": ("app.test", 443), "client": ("203.0.113.9", 4711), "http_version": "2",
        **more,
    }  # fmt: skip


class Client:
    """The server's side of one request: messages in, messages out, and a line that can be cut."""

    def __init__(self, *pieces: bytes) -> None:
        self.sent: list[Message] = []
        self.taken = 0
        self.gone = asyncio.Event()
        self.some = asyncio.Event()
        self._pieces = list(pieces)

    async def receive(self) -> Message:
        if self.taken < max(len(self._pieces), 1):
            self.taken += 1
            body = self._pieces[self.taken - 1] if self._pieces else b""
            return {"type": "http.request", "body": body, "more_body": self.taken < len(self._pieces)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.some.set()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


async def ask(app: Any, client: Client, **asked: Any) -> Client:
    await Wsgi(app)(scope(**asked), client.receive, client.send)
    return client


def hello(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"he", b"llo"]


@pytest.mark.feature("FWK-02")
async def test_an_answer_of_known_length_ends_with_its_last_byte() -> None:
    client = await ask(hello, Client())
    assert [message["type"] for message in client.sent] == [
        "http.response.start",
        *["http.response.body"] * 2,
    ]
    assert client.sent[0]["status"] == 200
    assert client.sent[0]["headers"] == [(b"content-type", b"text/plain"), (b"content-length", b"5")]
    assert [message["more_body"] for message in client.sent[1:]] == [True, False]
    assert client.body == b"hello"


async def test_the_environ_is_what_the_standard_says() -> None:
    seen: Environ = {}

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        seen.update(environ)
        start_response("204 No Content", [])
        return []

    told = "host: app.test, x-a: 1, x-a: 2, x_b: forged, content-type: a/b, cookie: a=1, cookie: b=2"
    headers = [
        (name.encode(), value.encode()) for name, value in (line.split(": ") for line in told.split(", "))
    ]
    await ask(app, Client(), path="/base/caf\u00e9", root_path="/base", headers=headers, method="PUT")
    assert seen["PATH_INFO"] == "/caf\u00c3\u00a9"
    assert seen["SCRIPT_NAME"] == "/base"
    assert seen["QUERY_STRING"] == "a=1"
    assert (seen["REQUEST_METHOD"], seen["SERVER_PROTOCOL"], seen["wsgi.url_scheme"]) == (
        "PUT",
        "HTTP/2",
        "https",
    )
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"], seen["REMOTE_ADDR"]) == (
        "app.test",
        "443",
        "203.0.113.9",
    )
    assert (seen["HTTP_X_A"], seen["HTTP_COOKIE"], seen["CONTENT_TYPE"]) == ("1,2", "a=1; b=2", "a/b")
    assert "HTTP_X_B" not in seen
    assert "REMOTE_USER" not in seen


async def test_a_remote_user_is_there_only_if_the_gate_says_so() -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [environ.get("REMOTE_USER", "none").encode()]

    assert (
        await ask(app, Client(), headers=[(b"remote-user", b"root"), (b"remote_user", b"root")])
    ).body == b"none"
    assert (await ask(app, Client(), remote_user="ada")).body == b"ada"


async def test_the_standards_own_validator_is_content() -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        body = (
            environ["wsgi.input"].read(7) + environ["wsgi.input"].readline() + environ["wsgi.input"].read(99)
        )
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([body])

    client = Client(b"one\ntw", b"o\nthree")
    await ask(validator(cast("Any", app)), client, method="POST", headers=[(b"content-length", b"13")])
    assert client.body == b"one\ntwo\nthree"


@pytest.mark.feature("FWK-02")
async def test_a_body_is_taken_as_the_application_reads_it() -> None:
    client = Client(*[b"x" * 1000] * 50)
    taken: list[int] = []

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        taken.append(client.taken)
        environ["wsgi.input"].read(1000)
        taken.append(client.taken)
        start_response("200 OK", [])
        return [str(len(environ["wsgi.input"].read())).encode()]

    await ask(app, client, method="POST", headers=[(b"transfer-encoding", b"chunked")])
    assert taken[0] == 0
    assert taken[1] < 12  # what its buffer holds, not the whole
    assert client.body == b"49000"


@pytest.mark.feature("FWK-02")
async def test_blocks_leave_as_they_are_made() -> None:
    client, go = Client(), threading.Event()

    def app(environ: Environ, start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"first"
        assert go.wait(60)
        yield b"second"

    asked = asyncio.create_task(ask(app, client))
    await client.some.wait()
    while client.body != b"first":
        client.some.clear()
        await client.some.wait()
    go.set()
    await asked
    assert client.body == b"firstsecond"
    assert client.sent[-1]["more_body"] is False


async def test_a_client_that_has_gone_ends_an_endless_answer() -> None:
    client, closed = Client(), threading.Event()

    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x"

        def close(self) -> None:
            closed.set()

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Endless()

    asked = asyncio.create_task(ask(app, client))
    await client.some.wait()
    client.gone.set()
    await asked
    assert closed.is_set()
    assert client.sent[-1]["more_body"] is True


async def test_a_client_that_goes_while_it_sends_ends_the_reading() -> None:
    client = Client(b"some", b"")
    client.gone.set()
    reached: list[bytes] = []

    async def receive() -> Message:
        return await client.receive() if client.taken < 1 else {"type": "http.disconnect"}

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        reached.append(environ["wsgi.input"].read())
        return []

    headers = [(b"content-length", b"1000")]
    await Wsgi(app)(scope(method="POST", headers=headers), receive, client.send)
    assert reached == []
    assert client.sent == []


async def test_what_is_ambient_is_there_in_the_applications_thread() -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [])
        assert threading.current_thread() is not threading.main_thread()
        yield asking.get().encode()

    asking.set("ada")
    assert (await ask(app, Client())).body == b"ada"


async def test_what_was_started_may_be_changed_until_something_was_sent() -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        write = start_response("200 OK", [])
        error = LookupError("oh")
        start_response("500 Sorry", [("X-A", "b")], (LookupError, error, None))
        write(b"written ")
        return [b"", b"returned"]

    client = await ask(app, Client())
    assert client.sent[0]["status"] == 500
    assert client.body == b"written returned"


@pytest.mark.parametrize(
    ("name", "words"),
    [("late", "oh"), ("never", "without calling start_response"), ("twice", "called twice")],
)
async def test_an_application_that_breaks_the_standard_is_the_servers_error(name: str, words: str) -> None:
    def app(environ: Environ, start_response: Start) -> Iterator[bytes]:
        if name == "never":
            yield b"x"
        start_response("200 OK", [])
        if name == "twice":
            start_response("200 OK", [])
        yield b"x"
        error = LookupError("oh")
        start_response("500 Sorry", [], (LookupError, error, None))

    with pytest.raises((LookupError, AssertionError), match=words):
        await ask(app, Client())


async def test_it_starts_and_stops_and_knows_no_websockets() -> None:
    told = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Message] = []

    async def receive() -> Message:
        return told.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    face = Wsgi(hello)
    await face({"type": "websocket"}, receive, send)
    await face({"type": "lifespan"}, receive, send)
    assert [message["type"] for message in sent] == [
        "websocket.close",
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_wsgi_is_told_by_its_two_arguments() -> None:
    class Flaskish:
        def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
            return hello(environ, start_response)

    async def asgi(scope: Any, receive: Any, send: Any) -> None: ...

    assert speaks_wsgi(hello)
    assert speaks_wsgi(Flaskish())
    assert speaks_wsgi(partial(lambda _more, environ, start_response: [], 7))
    assert not speaks_wsgi(asgi)
    assert not speaks_wsgi(7)


@pytest.mark.feature("CORE-02", "FWK-02")
async def test_wrap_takes_it_as_it_is(bartizan_settings: dict[str, Any]) -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [f"{current.user_id} {environ['PATH_INFO']} {len(environ['wsgi.input'].read())}".encode()]

    gate = wrap(app, {**bartizan_settings, "guard": {"max_body": 2048, "wsgi_threads": 2}})
    await gate.bz.start(embedded=False)
    try:
        member = await Cast(gate.bz).person(await Cast(gate.bz).organization())
        async with anyone(gate) as http:
            assert (await http.get("/x")).status_code == 401
        async with program(gate, member) as http:
            several = await asyncio.gather(*(http.post(f"/{n}", content=b"x" * n) for n in range(8)))
            assert [answer.text for answer in several] == [f"{member.id} /{n} {n}" for n in range(8)]
            assert (await http.post("/big", content=b"x" * 4096)).status_code == 413
            assert (await http.post("/big", content=_pieces())).status_code == 413
    finally:
        await gate.bz.stop()


async def _pieces() -> Any:
    for _ in range(8):
        yield b"x" * 512


async def test_a_bare_face_can_be_served_without_a_gate() -> None:
    transport = httpx.ASGITransport(Wsgi(hello))
    async with httpx.AsyncClient(transport=transport, base_url="http://app.test") as http:
        assert (await http.get("/")).text == "hello"
