"""Processes of the product: their surroundings, their ports, and when they answer."""

import asyncio
import os
import socket
import subprocess
import time
from pathlib import Path

import httpx

MANY = "100000/second"
GENEROUS = {f"BARTIZAN_LIMITS__{name}": MANY for name in ("ORGANIZATION", "USER", "BROWSER", "ADDRESS")}
"""Tests ask quickly: only those about limits shall meet one."""


def surroundings(**settings: str) -> dict[str, str]:
    """Give this process's environment without any setting of ours, but for those given."""
    return {**{k: v for k, v in os.environ.items() if not k.startswith("BARTIZAN_")}, **GENEROUS, **settings}


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def answering(url: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 90) -> None:
    """Wait until the server answers; show its log if it does not."""
    end = time.monotonic() + seconds
    async with httpx.AsyncClient() as client:
        while time.monotonic() < end:
            assert server.poll() is None, words(log)
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise AssertionError(words(log))


def words(log: Path) -> str:
    """Give what was logged."""
    return log.read_text()
