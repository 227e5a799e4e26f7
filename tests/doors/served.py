"""An application on a real socket, in this process and on this loop."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


@asynccontextmanager
async def served(app: Any, **options: Any) -> AsyncGenerator[str]:
    """Serve ``app`` with uvicorn; give its address, ``http://127.0.0.1:port``."""
    listening = socket.create_server(("127.0.0.1", 0))  # held from now on: nobody else can take the port
    port = listening.getsockname()[1]
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, **options)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        assert not task.done(), "the server stopped before it started"
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
