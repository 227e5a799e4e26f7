"""A websocket lives no longer than the session that opened it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bartizan.doors.http.problems import refusal
from bartizan.foundation.errors import BartizanError

_EVERY = 2.0
SIGNED_OUT = 4401


async def guarded(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, alive: Callable[[], Awaitable[bool]]
) -> None:
    """Run ``app`` on a websocket; close it with 4401 within 5 s of the moment ``alive`` turns false."""
    ended = asyncio.Event()
    closed = False

    async def hearing() -> Message:
        if ended.is_set():
            return {"type": "websocket.disconnect", "code": SIGNED_OUT}
        message = asyncio.ensure_future(receive())
        over = asyncio.ensure_future(ended.wait())
        try:
            await asyncio.wait({message, over}, return_when=asyncio.FIRST_COMPLETED)
            if message.done():
                return message.result()
            return {"type": "websocket.disconnect", "code": SIGNED_OUT}
        finally:
            over.cancel()
            message.cancel()
            with suppress(asyncio.CancelledError):
                await over

    async def saying(message: Message) -> None:
        nonlocal closed
        if ended.is_set():
            return
        closed = closed or message["type"] in {"websocket.close", "websocket.http.response.start"}
        await send(message)

    async def watching() -> None:
        while await alive():  # noqa: ASYNC110 - another replica may end the session, which sets no event here
            await asyncio.sleep(_EVERY)
        if not closed:
            with suppress(RuntimeError, OSError):
                await send({"type": "websocket.close", "code": SIGNED_OUT, "reason": "Signed out."})
        ended.set()

    watch = asyncio.create_task(watching())
    try:
        await app(scope, hearing, saying)
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch


async def refuse(scope: Scope, receive: Receive, send: Send, error: BartizanError) -> None:
    """Refuse at the handshake: with a status where the server can, else by closing, which becomes a 403."""
    message = await receive()
    if message["type"] != "websocket.connect":
        return
    if "websocket.http.response" in scope.get("extensions", {}):
        answer = refusal(error)
        headers = list(answer.raw_headers)
        start = {"type": "websocket.http.response.start", "status": answer.status_code, "headers": headers}
        await send(start)
        await send({"type": "websocket.http.response.body", "body": answer.body})
    else:
        await send({"type": "websocket.close", "code": SIGNED_OUT, "reason": error.title[:120]})
