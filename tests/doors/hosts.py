"""Small host applications for the gate to stand in front of."""

import json
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bartizan import current


def echo() -> Starlette:
    """An application that tells what reached it."""
    seen: list[dict[str, Any]] = []

    async def told(request: Request) -> Response:
        body = await request.body()
        caller = current.anyone
        what = {
            "path": request.url.path,
            "headers": dict(request.headers),
            "client": request.client.host if request.client else None,
            "scheme": request.url.scheme,
            "caller": caller.user_id if caller else None,
            "org": caller.org_id if caller else None,
            "team": caller.team_id if caller else None,
            "bytes": len(body),
        }
        seen.append(what)
        return JSONResponse(what)

    async def broken(_request: Request) -> Response:
        message = "the host fell over"
        raise ValueError(message)

    async def stream(_request: Request) -> Response:
        return StreamingResponse((f"{n}\n" for n in range(3)), media_type="text/plain")

    async def health(_request: Request) -> Response:
        return PlainTextResponse("pong")

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                text = await socket.receive_text()
                await socket.send_text(json.dumps({"you": current.caller.user_id, "said": text}))
        except WebSocketDisconnect:
            return

    app = Starlette(
        routes=[
            Route("/broken", broken, methods=["POST"]),
            Route("/stream", stream),
            Route("/ping", health, methods=["GET", "POST"]),
            WebSocketRoute("/talk", talk),
            Route("/{rest:path}", told, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]),
        ]
    )
    app.state.seen = seen
    return app
