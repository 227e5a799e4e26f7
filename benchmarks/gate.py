"""What the gate costs a request, beside the bare application and beside other ways to guard one.

``python -m benchmarks.gate [--quick]``. The same FastAPI application is served bare, behind Bartizan with
everything on, behind fastapi-users (signed and stored tokens), and behind a ``BaseHTTPMiddleware`` that loads
the user of each request: one uvicorn process each, pinned to one core, asked by wrk from another, in
interleaved rounds; figures are medians. Needs wrk (``apt-get install wrk``).
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr

from bartizan.access.sessions import Registration
from bartizan.doors.frameworks import wrap

from .hosts.gate import EMAIL, FREE, PASSWORD
from .hosts.postgresql import databases, postgresql_server

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1000.0}
OK = 200
TICK = os.sysconf("SC_CLK_TCK")
POST = 'wrk.method = "POST"\nwrk.body = "{}"\nwrk.headers["Content-Type"] = "application/json"\n'


class Round(NamedTuple):
    """One measurement: requests a second, CPU microseconds each, median milliseconds."""

    rate: float
    cpu: float
    p50: float


@dataclass
class Host:
    """A served application."""

    name: str
    port: int
    pid: int
    headers: dict[str, str]
    rounds: dict[str, list[Round]] = field(default_factory=dict[str, list[Round]])

    def ask(
        self, case: str, path: str, connections: int, seconds: float, *, post: bool, folder: Path
    ) -> None:
        """Let wrk ask for some seconds."""
        script = folder / "post.lua"
        script.write_text(POST)
        command = [
            "taskset",
            "-c",
            str(CORES[-1]),
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds:.0f}s",
            "--latency",
        ]
        command += [part for name, value in self.headers.items() for part in ("-H", f"{name}: {value}")]
        command += ["-s", str(script)] if post else []
        before = cpu_of(self.pid)
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{self.port}{path}"], capture_output=True, text=True, check=True
        )
        used = cpu_of(self.pid) - before
        if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
            raise RuntimeError(f"{self.name} {case}:\n{done.stdout}")
        total = int(re.search(r"(\d+) requests in", done.stdout)[1])  # type: ignore[index]
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])  # type: ignore[index]
        half, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", done.stdout).groups()  # type: ignore[union-attr]
        self.rounds.setdefault(case, []).append(Round(rate, used / total * 1e6, float(half) * UNITS[unit]))

    def median(self, case: str) -> Round:
        """Give the medians of a case."""
        rounds = self.rounds[case]
        return Round(*(statistics.median(values) for values in zip(*rounds, strict=True)))


CORES = sorted(os.sched_getaffinity(0))


def cpu_of(pid: int) -> float:
    """Read how many seconds of processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


@contextlib.contextmanager
def serving(name: str, folder: Path, **environ: str) -> Iterator[Host]:
    """Serve one application, pinned to the first core."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    home = folder / name
    home.mkdir()
    command = ["taskset", "-c", str(CORES[0]), sys.executable, "-m", "benchmarks.hosts.gate", name, str(port)]
    process = subprocess.Popen(
        [*command, str(home)], stdout=subprocess.PIPE, text=True, env={**os.environ, **environ}
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{name} did not start")
        yield Host(name, port, process.pid, json.loads(line))
    finally:
        process.kill()
        process.wait()


async def on_nothing(calls: int, rounds: int) -> dict[str, float]:
    """Measure the gate in process around an application that answers at once: CPU microseconds added."""

    async def nothing(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        assert message.get("status", OK) == OK, message

    async def ask(app: Any, headers: list[tuple[bytes, bytes]]) -> float:
        started = time.thread_time()
        for number in range(calls):
            await app(
                {
                    "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
                    "scheme": "http", "path": f"/items/{number % 100}", "raw_path": b"/items/7",
                    "root_path": "", "query_string": b"", "headers": headers, "client": ("127.0.0.1", 5000),
                    "server": ("127.0.0.1", 8000), "state": {},
                },
                receive,
                send,
            )  # fmt: skip
        return (time.thread_time() - started) / calls * 1e6

    usual = [(b"host", b"localhost:8000"), (b"user-agent", b"wrk/4.1"), (b"accept", b"*/*")]
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "database": f"sqlite:///{folder}/b.db",
            "data_dir": folder,
            "embedded_worker": False,
            "limits": dict.fromkeys(("browser", "user", "organization", "address"), FREE),
        }
        gate = wrap(nothing, options)
        await gate.bz.start()
        registered = await gate.bz.sessions.register(Registration(email=EMAIL, password=SecretStr(PASSWORD)))
        tokens = registered.tokens
        assert tokens
        ways = {
            "cookie": (b"cookie", f"bartizan={tokens.session_token}".encode()),
            "bearer": (b"authorization", f"Bearer {tokens.access_token}".encode()),
        }
        added = {}
        for name, header in ways.items():
            await ask(gate, [*usual, header])
            pairs = [(await ask(nothing, usual), await ask(gate, [*usual, header])) for _ in range(rounds)]
            added[name] = statistics.median(behind - alone for alone, behind in pairs)
        await gate.bz.stop()
    return added


def measure(*, quick: bool) -> tuple[list[Host], dict[str, float]]:
    """Ask all of them in turns."""
    seconds, rounds = (1, 3) if quick else (4, 7)
    null = asyncio.run(on_nothing(2000, 5 if quick else 15))
    names = ["bare", "ours", "ours_bearer", "ours_key", "library_jwt", "library_database", "middleware"]
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        folder = Path(place)
        hosts = [stack.enter_context(serving(name, folder)) for name in names]
        for host in hosts:
            host.ask("warm", "/items/7", 8, 1, post=False, folder=folder)
        for _ in range(rounds):
            for host in hosts:
                host.ask("GET", "/items/7", 16, seconds, post=False, folder=folder)
            for host in hosts[:2]:
                host.ask("GET alone", "/items/7", 1, seconds, post=False, folder=folder)
                host.ask("POST", "/items", 64, seconds, post=True, folder=folder)
                host.ask("POST alone", "/items", 1, seconds, post=True, folder=folder)
        hosts += on_postgresql(folder, seconds, rounds)
    return hosts, null


def on_postgresql(folder: Path, seconds: float, rounds: int) -> list[Host]:
    """Compare an application that stores in a transaction of its own with one whose audit row joins it."""

    async def compare(address: str) -> list[Host]:
        async with databases(address, 1) as urls:
            with contextlib.ExitStack() as stack:
                names = ["bare_storing", "ours_storing"]
                hosts = [
                    stack.enter_context(serving(name, folder, BENCH_POSTGRESQL=urls[0])) for name in names
                ]
                for _ in range(rounds):
                    for host in hosts:
                        host.ask("stored", "/stored", 16, seconds, post=True, folder=folder)
                return hosts

    with postgresql_server(str(folder)) as address:
        return asyncio.run(compare(address))


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three short rounds")
    quick = parser.parse_args().quick
    if not shutil.which("wrk"):
        print("This needs wrk: apt-get install wrk")
        return 2
    found, null = measure(quick=quick)
    hosts = {host.name: host for host in found}
    bare = hosts["bare"]
    print(f"{'host':<18}{'case':<12}{'requests/s':>11}{'to bare':>9}{'CPU us':>8}{'added':>7}{'p50 ms':>8}")
    for host in found:
        for case in ("GET", "GET alone", "POST", "POST alone", "stored"):
            if case not in host.rounds:
                continue
            mine = host.median(case)
            theirs = (hosts["bare_storing"] if case == "stored" else bare).median(case)
            print(
                f"{host.name:<18}{case:<12}{mine.rate:>11,.0f}{mine.rate / theirs.rate:>9.2f}"
                f"{mine.cpu:>8.1f}{mine.cpu - theirs.cpu:>7.1f}{mine.p50:>8.3f}"
            )
    print("the gate in process: " + ", ".join(f"{how} {added:.1f} us" for how, added in null.items()))
    failures = judge(hosts, null)
    print("gate: " + ("; ".join(failures) if failures else "within every floor"))
    return 1 if failures else 0


def judge(hosts: dict[str, Host], null: dict[str, float]) -> list[str]:
    """Say which floors are missed."""
    bare = hosts["bare"]

    def share(name: str, case: str, base: Host = bare) -> float:
        return hosts[name].median(case).rate / base.median(case).rate

    def added(name: str, case: str) -> float:
        return hosts[name].median(case).cpu - bare.median(case).cpu

    best = max(share(name, "GET") for name in ("library_jwt", "library_database", "middleware"))
    alone = hosts["ours"].median("GET alone").p50 - bare.median("GET alone").p50
    floors = [
        ("GET, cookie, of bare", share("ours", "GET"), 0.80, True),
        ("GET, bearer, of bare", share("ours_bearer", "GET"), 0.80, True),
        ("GET, key, of bare", share("ours_key", "GET"), 0.82, True),
        ("CPU added by cookie, us", added("ours", "GET"), 25, False),
        ("CPU added by bearer, us", added("ours_bearer", "GET"), 25, False),
        ("CPU added by key, us", added("ours_key", "GET"), 22, False),
        ("in process, us", max(null.values()), 8, False),
        ("p50 added for a lone GET, ms", alone, 0.05, False),
        ("POST with its audit row, of bare", share("ours", "POST"), 0.75, True),
        ("a lone POST, ms", hosts["ours"].median("POST alone").p50, 0.9, False),
        (
            "POST stored on PostgreSQL, of bare",
            share("ours_storing", "stored", hosts["bare_storing"]),
            0.78,
            True,
        ),
        ("times the best library", share("ours", "GET") / best, 8, True),
    ]
    for name, value, floor, least in floors:
        print(f"  {name:<40}{value:>8.2f}   {'at least' if least else 'at most'} {floor}")
    return [
        f"{name} {value:.2f} ({'at least' if least else 'at most'} {floor})"
        for name, value, floor, least in floors
        if (value < floor if least else value > floor)
    ]


if __name__ == "__main__":
    sys.exit(main())
