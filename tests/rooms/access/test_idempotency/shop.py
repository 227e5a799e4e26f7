"""An application in which it matters how often a request runs, behind the gate and the step to be tried."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bartizan.doors.frameworks import Wrapped, wrap
from bartizan.foundation.context import current


class Shop:
    """Takes orders, and remembers each."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.scopes: list[Scope] = []
        self.script: Sequence[Message] = ()
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.scopes.append(scope)
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.orders.append(f"{current.caller.id} {scope['path']} {body.decode('latin-1')[:80]}")
        self.started.set()
        await getattr(self, scope["path"].strip("/") or "order")(send, body)

    async def order(self, send: Send, body: bytes, status: int = 201) -> None:
        told = {"number": len(self.orders), "said": body[:80].decode("latin-1"), "bytes": len(body)}
        await answer(send, status, json.dumps(told).encode(), {"x-order": str(len(self.orders))})

    async def slow(self, send: Send, body: bytes) -> None:
        await self.go_on.wait()
        await self.order(send, body)

    async def refuse(self, send: Send, body: bytes) -> None:
        await self.order(send, body, 422)

    async def fail(self, send: Send, body: bytes) -> None:
        await self.order(send, body, int(body or b"500"))

    async def crash(self, send: Send, body: bytes) -> None:
        raise ZeroDivisionError

    async def silent(self, send: Send, body: bytes) -> None:
        """Answer nothing at all."""

    async def cut(self, send: Send, body: bytes) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        if body:
            raise ZeroDivisionError

    async def play(self, send: Send, body: bytes) -> None:
        for message in self.script:
            await send(dict(message))


async def answer(send: Send, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    listed = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    listed.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body})


def behind(app: ASGIApp, settings: Mapping[str, Any] | None = None) -> Wrapped:
    """Put the gate, which has the step, in front of an application."""
    return wrap(app, settings)


class Ledger(Shop):
    """A shop whose orders outlive the process, and which takes its time over them."""

    async def order(self, send: Send, body: bytes, status: int = 201) -> None:
        place = Path(os.environ["SHOP_LEDGER"])
        line = f"{os.getpid()} {body.decode()}\n".encode()
        descriptor = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, line)
        os.close(descriptor)
        patience = Path(os.environ["SHOP_HURRY"])
        while not patience.exists():  # noqa: ASYNC110, ASYNC240 - the test is another process
            await asyncio.sleep(0.02)
        await super().order(send, f"{os.getpid()} {body.decode()}".encode(), status)


def create() -> Wrapped:
    """Make a replica of the shop."""
    return behind(Ledger())
