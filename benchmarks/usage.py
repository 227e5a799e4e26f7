"""What counting a request costs, beside ``prometheus_client``; and writing 10,000 combinations down.

``python -m benchmarks.usage [--quick]``. In each window of 10,000, a request is added for one of 20
organizations, 10 callers and 10 endpoints, with a latency and an id of its own; then the same again. The peer
observes the same latencies in a histogram whose labelled child is at hand. A window ends with a flush; CPU
time is measured, and the median is shown.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import prometheus_client

from bartizan.backbone.events import Events
from bartizan.backbone.usage import Usage
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.database import Database
from benchmarks.hosts.postgresql import postgresql_server

MOST_MICROS = 1.5
WINDOW, COMBINATIONS = 10_000, 10_000
Request = tuple[str, str, str, str, int, float, str]


def requests(count: int) -> list[Request]:
    """Make requests up, with latencies as servers have them."""
    choose = random.Random(7)
    orgs = [ids.new("org") for _ in range(20)]
    people = [ids.new("usr") for _ in range(10)]
    routes = [f"/api/things/{{thing_id}}/part-{number}" for number in range(10)]
    return [
        (
            choose.choice(orgs),
            choose.choice(people),
            "GET",
            choose.choice(routes),
            200,
            choose.lognormvariate(-6, 0.8),
            ids.new("req"),
        )
        for _ in range(count)
    ]


def cost(run: Callable[[], None], times: int) -> float:
    """Give the microseconds of CPU that one of so many times takes."""
    began = time.process_time()
    run()
    return (time.process_time() - began) / times * 1e6


async def adding(rounds: int) -> tuple[float, float, float]:
    """Measure ours when all is new, when it is known, and the peer's, in microseconds a request."""
    made = requests(WINDOW)
    child = prometheus_client.Histogram("took", "Seconds.", ["method"], registry=None).labels("GET")
    clock = Clock()
    database = Database("sqlite:///:memory:")
    await database.create_tables()
    usage = Usage(database, Events(database, clock=clock), clock=clock)

    def add() -> None:
        put = usage.add
        for org_id, caller_id, method, route, status, seconds, request_id in made:
            put(org_id, caller_id, method, route, status, seconds, request_id)

    def observe() -> None:
        put = child.observe
        for _, _, _, _, _, seconds, _ in made:
            put(seconds)

    found: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        found.append((cost(add, WINDOW), cost(add, WINDOW), cost(observe, WINDOW)))
        await usage.flush()  # so that the next window begins empty
    await database.close()
    fresh, known, peer = (statistics.median(column) for column in zip(*found, strict=True))
    return fresh, known, peer


async def flushing(url: str, rounds: int) -> float:
    """Measure writing 10,000 combinations down, in milliseconds."""
    clock = Clock()
    database = Database(url)
    await database.create_tables()
    usage = Usage(database, Events(database, clock=clock), clock=clock)
    orgs, taken = [ids.new("org") for _ in range(20)], list[float]()
    for _ in range(rounds + 1):
        for number in range(COMBINATIONS):
            usage.add(orgs[number % 20], "usr_1", "GET", f"/route/{number // 20}", 200, 0.01, "req_1")
        began = time.perf_counter()
        await usage.flush()
        taken.append((time.perf_counter() - began) * 1000)
    await database.close()
    return statistics.median(taken[1:])


def main() -> int:
    """Measure, print, and fail above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    fresh, ours, peer = asyncio.run(adding(15 if quick else 60))
    print(f"{'usage.add, of what was seen this second':40} {ours:8.2f} us of CPU")
    print(f"{'usage.add, beginning with nothing':40} {fresh:8.2f} us of CPU")
    print(f"{'prometheus_client Histogram.observe':40} {peer:8.2f} us of CPU")
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        places = {"SQLite": f"sqlite:///{Path(folder) / 'usage.db'}"}
        server = stack.enter_context(postgresql_server(folder))
        places["PostgreSQL"] = server.replace("postgresql://", "postgresql+asyncpg://")
        for name, url in places.items():
            taken = asyncio.run(flushing(url, 2 if quick else 5))
            print(f"{f'flush of {COMBINATIONS:,} combinations, {name}':40} {taken:8.0f} ms")
    print(f"usage.add: {ours:.2f} us (at most {MOST_MICROS}), {ours / peer:.1f} x one histogram")
    return 0 if ours <= MOST_MICROS else 1


if __name__ == "__main__":
    sys.exit(main())
