"""A real Redis for the tests: one server for each worker, killed and started again where a test wants so."""

import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from .processes import free_port

_SECONDS = 30


class Redis:
    """A server on this machine that keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            message = "The tests need redis-server: run `make peers`, or install it (Debian: redis-server)."
            raise RuntimeError(message)
        self._folder = folder
        self.port = free_port()
        self.address = f"redis://127.0.0.1:{self.port}/0"
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        self._command += ["--save", "", "--appendonly", "no", "--loglevel", "warning"]
        if setpriv := shutil.which("setpriv"):  # it ends with us, however we end
            self._command = [setpriv, "--pdeathsig", "KILL", *self._command]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, unless it runs, and wait until it answers."""
        if self._process is None:
            with (self._folder / "redis.log").open("ab") as log:
                self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                assert self.say("PING") == "+PONG"
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    message = f"Redis did not start:\n{(self._folder / 'redis.log').read_text()}"
                    raise RuntimeError(message) from None
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """End the server at once, as kill -9 does; what it knew is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_SECONDS)
            self._process = None

    def say(self, *words: str) -> str:
        """Send one command and give the first line of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=_SECONDS) as connection:
            parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
            connection.sendall(f"*{len(words)}\r\n{parts}".encode())
            with connection.makefile("rb") as answer:
                return answer.readline().decode().strip()

    def number(self, *words: str) -> int:
        """Send one command whose answer is a number."""
        return int(self.say(*words).removeprefix(":"))


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Redis]:
    """Give this worker's server."""
    redis = Redis(tmp_path_factory.mktemp("redis"))
    yield redis
    redis.kill()


@pytest.fixture
def redis(redis_server: Redis) -> Redis:
    """Give a Redis that runs and holds nothing."""
    redis_server.start()
    redis_server.say("FLUSHALL")
    redis_server.say("SCRIPT", "FLUSH")
    return redis_server
