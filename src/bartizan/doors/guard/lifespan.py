"""Starting and stopping: the house first, then the app behind the gate."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bartizan.foundation.errors import BartizanError, Unavailable
from bartizan.foundation.telemetry import logger
from bartizan.house import Bartizan


class NotStarted(Unavailable):
    """Bartizan could not start, so nothing is let through; the log says why."""


class Lifespan:
    """Owns the lifespan protocol and passes it on (ASGI lifespan 2.0).

    The house starts before the app and stops after it. An app that does not speak the protocol (Django,
    WSGI bridges) is left alone. A house that cannot start ends the server: nothing is ever served without
    the gate.
    """

    def __init__(
        self,
        app: ASGIApp,
        house: Bartizan,
        warm: Callable[[], None] | None = None,
        settled: Callable[[], object] | None = None,
    ) -> None:
        """Bind the life of ``house`` to that of ``app``; ``settled`` is called when the app has started."""
        self._settled = settled
        self._app = app
        self._house = house
        self._warm = warm
        self._starting = asyncio.Lock()
        self._log = logger(__name__)

    async def ensure_started(self) -> None:
        """Start the house at the first request, where the server runs without lifespan."""
        if self._house.started:
            return
        async with self._starting:
            if self._house.started:
                return
            try:
                await self._house.start()
            except BartizanError as error:
                self._log.exception("start.failed", error=str(error))
                raise NotStarted from error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak the protocol with the server."""
        await receive()
        try:
            await self._house.start()
            if self._warm is not None:
                await asyncio.to_thread(self._warm)
        except Exception as error:  # noqa: BLE001 - whatever it was, the server has to hear of it
            self._log.exception("start.failed")
            await send({"type": "lifespan.startup.failed", "message": f"Bartizan could not start: {error}"})
            return
        behind = _Behind(self._app, scope)
        failure = await behind.startup()
        if failure is not None:
            await self._house.stop()
            await send({"type": "lifespan.startup.failed", "message": failure})
            return
        if self._settled is not None:
            self._settled()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        failure = await behind.shutdown()
        await self._house.stop()
        if failure is None:
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await send({"type": "lifespan.shutdown.failed", "message": failure})


class _Behind:
    """The app's own half of the conversation."""

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self._app = app
        self._scope = scope
        self._told: asyncio.Queue[Message] = asyncio.Queue()
        self._heard: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> str | None:
        """Start the app; give the reason if it says that it cannot."""
        self._task = asyncio.create_task(self._run())
        return await self._exchange("startup")

    async def shutdown(self) -> str | None:
        """Stop the app; give the reason if it says that it failed."""
        if self._task is None or self._task.done():
            return None
        failure = await self._exchange("shutdown")
        await asyncio.wait({self._task}, timeout=5)
        return failure

    async def _exchange(self, phase: str) -> str | None:
        assert self._task is not None
        await self._told.put({"type": f"lifespan.{phase}"})
        answer = asyncio.ensure_future(self._heard.get())
        await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            return None
        message = answer.result()
        return str(message.get("message", "")) if message["type"] == f"lifespan.{phase}.failed" else None

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._told.get, self._heard.put)
        except Exception:  # noqa: BLE001 - an app that raises here does not speak the protocol
            logger(__name__).debug("lifespan.unsupported")
