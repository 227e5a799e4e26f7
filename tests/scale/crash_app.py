"""An application whose every request writes a row, an event and a job in one transaction."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import bartizan
from bartizan.foundation.capability import Event

RAN = Path(os.environ.get("CRASH_RAN", "ran.log"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ThingMade(Event):
    """A thing was made."""

    target: ClassVar[str | None] = "thing"

    thing: str


def create() -> Starlette:
    """Make the application, with Bartizan in front and a job behind it."""

    async def make(request: Request) -> Response:
        thing = request.path_params["thing"]
        async with bz.database.transaction():
            await bz.events.announce(ThingMade(thing=thing))
            await bz.jobs.enqueue("mark", {"thing": thing})
        return JSONResponse({"thing": thing}, 201)

    app = Starlette(routes=[Route("/things/{thing}", make, methods=["POST"])])
    bz = bartizan.attach(app)

    async def mark(payload: dict[str, Any], _job: Any) -> None:
        line = f"{payload['thing']}\n".encode()
        descriptor = os.open(RAN, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    bz.jobs.handler("mark", mark)
    return app


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(create(), host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False)
