"""Runs the matrix over an application: starts it, settles two tenants, walks, and takes everything down."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp, Message

from bartizan.doors.frameworks import host_of
from bartizan.doors.testing.cast import Cast
from bartizan.house import Bartizan

from .matrix import Matrix
from .report import Report
from .sockets import Eavesdropping
from .surface import discover
from .tenants import Make, Tenant

_STARTING = 60.0


class NotAttached(TypeError):
    """The application is not behind Bartizan, so nothing keeps tenants apart."""


class NotHere(RuntimeError):
    """This is production: the matrix makes, changes and deletes things."""


def house_of(app: Any) -> Bartizan:
    """Give the house that stands in front of an application."""
    found = getattr(app, "bz", None) or getattr(getattr(app, "state", None), "bartizan", None)
    if not isinstance(found, Bartizan):
        message = (
            "Bartizan is not attached to this application: call bartizan.attach(app) or wrap(app) first."
        )
        raise NotAttached(message)
    return found


async def find_leaks(
    app: Any,
    *,
    make: Sequence[Make] = (),
    examples: Mapping[str, Any] | None = None,
    skip: Sequence[str] = (),
    refusals: Collection[int] = (404,),
    openapi: Mapping[str, Any] | None = None,
    prefix: str = "",
    patience: float = 1.0,
) -> Report:
    """Walk every route of ``app`` as two tenants, and report what crosses from one to the other.

    The application runs as it is, on the database of its settings, which should be thrown away afterwards:
    things are made, changed and deleted in two new organizations.

    ``make`` are functions that make things in ways the routes do not tell; they get a client that acts as
    the tenant, and give the path parameters that lead to what they made. ``examples`` are good bodies, by
    ``"POST /path"`` or by the name of a schema. ``skip`` leaves routes out, by patterns such as
    ``"DELETE /accounts/*"``. A foreign thing has to be answered as ``refusals`` say: 404, so that nobody
    learns what there is. ``openapi`` and ``prefix`` describe an application that does not describe itself.
    ``patience`` is how many seconds a websocket has to stay silent.
    """
    house = house_of(app)
    if house.settings.production:
        raise NotHere(NotHere.__doc__)
    surface, left_out = discover(host_of(app), openapi, prefix=prefix, skip=skip)
    async with serving(app):
        cast = Cast(house)
        acme, globex = Tenant("Acme", app, cast), Tenant("Globex", app, cast)
        try:
            await acme.move_in()
            await globex.move_in()
            matrix = Matrix(surface, acme, globex, make=make, examples=examples, refusals=refusals)
            await matrix.walk()

            async def work() -> None:
                await matrix.furnish(acme)

            listening = Eavesdropping(app, acme, globex, matrix.report, work, patience)
            for path in surface.sockets:
                await listening.listen(path)
        finally:
            await acme.close()
            await globex.close()
    report = matrix.report
    for route in left_out:
        report.skip(route, "left out by `skip`")
    for mount in surface.mounts:
        report.skip(
            f"everything below {mount}", "another application is mounted there; its paths are unknown"
        )
    report.unexercised = [one for one in report.unexercised if one.route not in report.exercised]
    report.requests = acme.requests + globex.requests
    return report


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncGenerator[None]:
    """Start an application as a server would (ASGI lifespan), and stop it at the end."""
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    outbox: asyncio.Queue[Message] = asyncio.Queue()
    inbox.put_nowait({"type": "lifespan.startup"})
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}

    async def live() -> None:
        try:
            await app(scope, inbox.get, outbox.put)
        except Exception as error:
            outbox.put_nowait({"type": "lifespan.startup.failed", "message": str(error)})
            raise

    task = asyncio.create_task(live(), name="lifespan")
    try:
        async with asyncio.timeout(_STARTING):
            started = await outbox.get()
        if started["type"] != "lifespan.startup.complete":
            message = f"The application does not start: {started.get('message', '')}"
            raise RuntimeError(message)
        yield
    finally:
        inbox.put_nowait({"type": "lifespan.shutdown"})
        await asyncio.wait({task}, timeout=_STARTING)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
