"""A server that hands its socket over to its successor, so that a reload loses no request.

SIGHUP starts the command that was typed once more, with the socket that listens. When the new process
serves, this one takes no more connections, finishes what it has begun, and then only waits for the new one:
its process id stays, for whoever supervises it. Every further SIGHUP does the same with the next successor.
A successor that cannot start changes nothing.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from types import FrameType

import uvicorn

from bartizan.doors.cli.running import fail
from bartizan.foundation.telemetry import logger

_INHERITED = "_BARTIZAN_HEIR"
_BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn, which hands over when it is told to hang up."""

    def __init__(self, config: uvicorn.Config) -> None:
        """Listen where ``config`` says, or on what was inherited."""
        super().__init__(config)
        inherited = os.environ.pop(_INHERITED, "")
        listening, _, ready = inherited.partition(",")
        self._ready = int(ready) if ready else None
        self._socket = socket.socket(fileno=int(listening)) if listening else _bound(config.host, config.port)
        self._heir: Heir | None = None
        self._told_to_stop = False

    def serve_until_stopped(self) -> int:
        """Serve, and then wait for the successor if there is one; give the exit code."""
        self.run(sockets=[self._socket.dup()])
        if self._heir is not None:
            return _Waiting(self._heir, self._socket).wait(stop=self._told_to_stop)
        self._socket.close()
        return 0 if self.started else 1

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in good order; a successor that has begun stops, too."""
        self._told_to_stop = True
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, say so to whoever started us, and listen for SIGHUP."""
        await super().startup(sockets)
        if self._ready is not None:
            os.write(self._ready, b"1")
            os.close(self._ready)
            self._ready = None
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._succeed)

    def _succeed(self) -> None:
        if self._heir is None and not self.should_exit:
            self._heir = Heir(self._socket)
            asyncio.get_running_loop().add_reader(self._heir.ready, self._heard, self._heir)

    def _heard(self, heir: "Heir") -> None:
        asyncio.get_running_loop().remove_reader(heir.ready)
        if heir.serves():
            logger(__name__).info("reload.handed_over", process=heir.process.pid)
            self.should_exit = True
        else:
            logger(__name__).error(
                "reload.failed", cure="The old process goes on. See why the new one ended."
            )
            heir.process.wait()
            self._heir = None


class Heir:
    """The process that takes over."""

    def __init__(self, listening: socket.socket) -> None:
        """Start the command that was typed once more, on the same socket."""
        self.ready, ours = os.pipe()
        environ = {**os.environ, _INHERITED: f"{listening.fileno()},{ours}"}
        command = [sys.executable, *sys.orig_argv[1:]]
        self.process = subprocess.Popen(command, env=environ, pass_fds=(listening.fileno(), ours))  # noqa: S603 - our own
        os.close(ours)

    def serves(self) -> bool:
        """Wait until it serves; tell whether it came to that."""
        with os.fdopen(self.ready, "rb") as pipe:
            return pipe.read(1) == b"1"


class _Waiting:
    """What is left of a server whose work another does: it passes signals on."""

    def __init__(self, heir: Heir, listening: socket.socket) -> None:
        self._heir: Heir = heir
        self._next: Heir | None = None
        self._socket = listening
        self._stopping = False

    def wait(self, *, stop: bool) -> int:
        """Wait for the last successor, or ``stop`` it at once; give its exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._succeed)
        if stop:
            self._stop(signal.SIGTERM, None)
        while True:
            code = self._heir.process.wait()
            if self._next is None:
                return max(code, 0)
            self._heir, self._next = self._next, None

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        for heir in (self._heir, self._next):
            if heir is not None:
                heir.process.terminate()

    def _succeed(self, _number: int, _frame: FrameType | None) -> None:
        if self._next is not None or self._stopping:
            return
        heir = Heir(self._socket)
        if not heir.serves():
            heir.process.wait()
        elif self._stopping:
            heir.process.terminate()
        else:
            self._next = heir
            self._heir.process.terminate()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, because asyncio turns Nagle's algorithm off only where it sees that.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        cure = "Choose another with --port, or stop what listens there."
        fail(f"Nobody can listen on {host} port {port}.", str(error.strerror or error), cure, code=5)
    listening.listen(_BACKLOG)
    return listening
