"""What the reverse proxy costs beside nginx and beside the bare application, and how much memory it takes.

``python -m benchmarks.proxy [--quick]``. One application on uvicorn is asked by itself, through nginx as a
plain reverse proxy with kept connections, through the proxy alone, and through ``bartizan guard --upstream``
with a signed-in caller; each has one process, and wrk asks in turns, so that the machine's moods hit all
alike. The cost is CPU time per request, which a busy machine distorts least. Then a gigabyte goes up and
down, and the largest memory that the process ever took is read from the kernel. Needs nginx and wrk
(``apt-get install nginx-light wrk``); without them it says so and exits 2.
"""

import argparse
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

FLOOR, AIM = 4.0, 3.0
MOST_MEMORY, MOST_GROWTH = 80, 40
GIB = 1024 * 1024 * 1024
CONNECTIONS = 16
NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream app {{ server 127.0.0.1:{app}; keepalive 64; }}
  server {{ listen 127.0.0.1:{port}; location / {{
    proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; }} }}
}}
"""
PROXY = """
from bartizan.doors.proxy import Proxy
app = Proxy("http://127.0.0.1:{app}")
"""
APP = """
PIECE = b"x" * 262_144

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    path = scope["path"]
    if path == "/down":
        left = int(scope["query_string"])
        sized = [(b"content-length", b"%d" % left)]
        await send({"type": "http.response.start", "status": 200, "headers": sized})
        while left:
            piece = PIECE[:left]
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": bool(left)})
        return
    body = b"Hello, world!"
    if path == "/up":
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        body = b"%d" % size
    head = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
"""


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One process that serves, and what it has used."""

    def __init__(self, name: str, port: int, process: "subprocess.Popen[bytes]", token: str = "") -> None:
        """Know it by a name."""
        self.name, self.port, self.process, self.token = name, port, process, token
        self.requests, self.seconds, self.wall = 0, 0.0, 0.0

    def ask(self, seconds: int) -> None:
        """Have wrk ask for so long; add up what it took."""
        header = ["-H", f"Authorization: Bearer {self.token}"] if self.token else []
        before = self.cpu()
        command = [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            *header,
            f"http://127.0.0.1:{self.port}/",
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = re.search(r"(\d+) requests in ([\d.]+)(m?s)", said)
        assert found, said
        assert "Non-2xx" not in said, said
        self.requests += int(found[1])
        self.wall += float(found[2]) / (1000 if found[3] == "ms" else 1)
        self.seconds += self.cpu() - before

    def cpu(self) -> float:
        """Give the CPU seconds it has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, what: str = "VmHWM") -> float:
        """Give its memory in MB: the most it ever had, or (``VmRSS``) what it has now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{what}:\s+(\d+)", status)
        assert found
        return int(found[1]) / 1000

    @property
    def cost(self) -> float:
        """Give the CPU time of one request, in microseconds."""
        return self.seconds / self.requests * 1e6

    def carry(self, size: int) -> None:
        """Send so many bytes through it, and have so many back."""
        bearer = f"authorization: Bearer {self.token}\r\n" if self.token else ""
        with socket.create_connection(("127.0.0.1", self.port)) as link:
            head = (
                f"POST /up HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{bearer}content-length: {size}\r\n\r\n"
            )
            link.sendall(head.encode())
            piece = b"x" * 1_048_576
            for start in range(0, size, len(piece)):
                link.sendall(piece[: size - start])
            said = b""
            while data := link.recv(65536):
                said += data
            assert said.endswith(b"\r\n\r\n%d" % size), said[-200:]
        with socket.create_connection(("127.0.0.1", self.port)) as link:
            link.sendall(
                f"GET /down?{size} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{bearer}\r\n".encode()
            )
            got = 0
            while data := link.recv(1_048_576):
                got += len(data)
            assert got > size, got


class Street:
    """All servers side by side."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Keep files in ``folder``; stop everything with ``stack``."""
        self._folder, self._stack = folder, stack
        self._base = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
        (folder / "bench_app.py").write_text(APP)
        self.app = self._uvicorn("application", "bench_app")

    def _start(self, name: str, port: int, command: list[str], check: str = "/", **environ: str) -> Server:
        log = self._stack.enter_context((self._folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            command, cwd=self._folder, env={**self._base, **environ}, stdout=log, stderr=log
        )
        self._stack.callback(process.wait, 30)
        self._stack.callback(process.send_signal, signal.SIGTERM)
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{check}", timeout=5):
                    return Server(name, port, process)
            except OSError:
                time.sleep(0.1)
        message = f"{name} does not answer:\n{(self._folder / f'{name}.log').read_text()[-2000:]}"
        raise RuntimeError(message)

    def _uvicorn(self, name: str, module: str) -> Server:
        port = free_port()
        quiet = ["--no-access-log", "--log-level", "warning", "--lifespan", "off"]
        return self._start(
            name, port, [sys.executable, "-m", "uvicorn", f"{module}:app", "--port", str(port), *quiet]
        )

    def nginx(self) -> Server:
        """Start nginx in front of the application."""
        port, conf = free_port(), self._folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=self._folder, app=self.app.port, port=port))
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        return self._start("nginx", port, [program, "-c", str(conf), "-p", str(self._folder)])

    def proxy(self) -> Server:
        """Start the proxy without a gate."""
        (self._folder / "bench_proxy.py").write_text(PROXY.format(app=self.app.port))
        return self._uvicorn("proxy", "bench_proxy")

    def guard(self) -> Server:
        """Start the gate and the proxy, as an operator does, and sign somebody in."""
        environ = {
            "BARTIZAN_SECRET_KEY": secrets.token_urlsafe(48),
            "BARTIZAN_GUARD__MAX_BODY": str(2 * GIB),
            "BARTIZAN_EMBEDDED_WORKER": "false",
        }
        bartizan = [sys.executable, "-m", "bartizan"]
        seeded = subprocess.run(
            [*bartizan, "demo", "--json"],
            cwd=self._folder,
            env={**self._base, **environ},
            capture_output=True,
            check=True,
        )
        member: Any = next(p for p in json.loads(seeded.stdout)["people"] if p["role"] == "member")
        port = free_port()
        upstream = f"http://127.0.0.1:{self.app.port}"
        command = [*bartizan, "guard", "--upstream", upstream, "--port", str(port)]
        gate = self._start("guard", port, command, "/_bartizan/health/ready", **environ)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/_bartizan/api/v1/auth/login",
            json.dumps({"login": member["email"], "password": member["password"]}).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            gate.token = json.load(answer)["access_token"]
        return gate


def run(*, quick: bool) -> tuple[float, float, float]:
    """Measure; give the proxy's cost beside the application's own, its memory, and the gate's growth."""
    seconds, rounds = (1, 2) if quick else (4, 5)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        street = Street(Path(folder), stack)
        servers = [street.app, street.nginx(), street.proxy(), street.guard()]
        for server in servers:
            server.ask(1)  # warm
            server.requests, server.seconds, server.wall = 0, 0.0, 0.0
        for turn in range(rounds):
            for server in servers if turn % 2 else reversed(servers):
                server.ask(seconds)
        bare = servers[0]
        print(f"{'':<12} {'requests/s':>11} {'CPU µs each':>12} {'beside the app':>15}")
        for server in servers:
            speed = server.requests / server.wall
            print(f"{server.name:<12} {speed:>11,.0f} {server.cost:>12.1f} {server.cost / bare.cost:>14.2f}x")
        _, nginx, proxy, guard = servers
        size = GIB // 4 if quick else GIB
        before = guard.memory("VmRSS")
        proxy.carry(GIB)
        guard.carry(size)
        growth = guard.memory() - before
        print(f"\nproxy beside nginx: {proxy.cost / nginx.cost:.2f} x the CPU of a request")
        print(f"proxy alone: {proxy.memory():.0f} MB at most, {GIB >> 20} MiB up and down")
        print(f"guard: {before:.0f} MB, and {growth:.0f} MB more at most for {size >> 20} MiB up and down")
        return proxy.cost / bare.cost, proxy.memory(), growth


def main() -> None:
    """Run, and exit 1 where the proxy costs more than the floor allows; 2 where a peer is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter turns, under 45 seconds")
    quick = parser.parse_args().quick
    missing = [
        name for name in ("nginx", "wrk") if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    ]
    if missing:
        print(f"Missing: {', '.join(missing)}. As root: apt-get install nginx-light wrk", file=sys.stderr)
        sys.exit(2)
    cost, memory, growth = run(quick=quick)
    print(
        f"proxy: {cost:.2f} x the CPU of the bare app's own answer, {memory:.0f} MB; "
        f"floor {FLOOR} x and {MOST_MEMORY} MB (guard: {MOST_GROWTH} MB more), aim {AIM} x"
    )
    sys.exit(cost > FLOOR or memory > MOST_MEMORY or growth > MOST_GROWTH)


if __name__ == "__main__":
    main()
