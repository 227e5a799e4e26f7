"""What counting three limits of one request costs: in memory, and in Redis beside one round trip.

``python -m benchmarks.limits [--quick]``. In memory it is the CPU time of the thread, the least of many
batches, beside the package ``limits`` (its sliding window, in memory and in Redis). In Redis it is the time
until the answer is there, the least of interleaved rounds, beside what the client library ``redis`` needs for
one round trip with a time-out, as it makes them and as ours is: a PING or a script that does nothing, the
quicker of the two. A server of its own is started: ``redis-server`` has to be installed.
"""

import argparse
import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import limits as peer
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter as AsyncSlidingWindow
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter as SlidingWindow
from redis.asyncio import Redis

from bartizan.backbone.limits import Bucket, LimitsSettings, shared
from bartizan.backbone.limits.service.memory import Memory
from bartizan.foundation.clock import Clock
from bartizan.foundation.settings import Rate

MOST_MICROSECONDS, MOST_TRIPS = 2.0, 1.2
RATE = Rate(1_000_000, 60)
BUCKETS = (
    Bucket("organization", "org_01k9acme", RATE, org_id="org_01k9acme"),
    Bucket("user", "usr_01k9ada", RATE, org_id="org_01k9acme"),
    Bucket("key", "key_01k9ci", RATE, org_id="org_01k9acme"),
)


def least(work: Callable[[], object], batches: int, times: int = 2_000) -> float:
    """Give the CPU time of one call, in microseconds: the least of several batches."""
    found: list[float] = []
    for _ in range(batches):
        began = time.thread_time_ns()
        for _ in range(times):
            work()
        found.append((time.thread_time_ns() - began) / times / 1_000)
    return min(found)


def in_memory(batches: int) -> float:
    """Print what counting in memory costs, and give it."""
    memory = Memory(Clock(), most_callers=10_000, most_addresses=10_000)
    window, item = SlidingWindow(MemoryStorage()), peer.parse("1000000/minute")

    def theirs() -> None:
        for bucket in BUCKETS:
            window.hit(item, bucket.key)

    ours = least(lambda: memory.take(BUCKETS), batches)
    verdict = memory.take(BUCKETS)
    rows = {
        "three limits": ours,
        "one limit": least(lambda: memory.take(BUCKETS[:1]), batches),
        "the headers of the answer": least(verdict.headers, batches),
        "three limits by the package limits": least(theirs, batches),
    }
    print(f"{'in memory':<38} {'µs of CPU':>10}")
    for name, cost in rows.items():
        print(f"{name:<38} {cost:>10.2f}")
    return ours


@contextmanager
def server() -> Iterator[int]:
    """Start a Redis that keeps nothing; give its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        running = subprocess.Popen([*command, "--appendonly", "no"], stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
                else:
                    break
            yield port
        finally:
            running.kill()
            running.wait()


async def in_redis(port: int, rounds: int, times: int = 50) -> float:
    """Print what counting in Redis costs, and give it as a share of one round trip."""
    address = f"redis://127.0.0.1:{port}/0"
    place, client = (
        shared(address, LimitsSettings(redis_timeout=5)),
        Redis.from_url(address, socket_timeout=5),
    )
    assert place is not None
    bare = Redis.from_url(address, socket_timeout=None)
    nothing = await client.script_load("return 1")
    window, item = (
        AsyncSlidingWindow(RedisStorage(f"async+{address}", implementation="redispy")),
        peer.parse("1000000/minute"),
    )

    async def theirs() -> None:
        for bucket in BUCKETS:
            await window.hit(item, bucket.key)

    async def one_after_another() -> None:
        for bucket in BUCKETS:
            await place.take((bucket,))

    work: dict[str, Callable[[], Awaitable[object]]] = {
        "three limits in one call": lambda: place.take(BUCKETS),
        "a PING of the library redis": client.ping,
        "a script that does nothing": lambda: client.evalsha(nothing, 0),
        "a PING that would wait for ever": bare.ping,
        "three limits, one call each": one_after_another,
        "three limits by the package limits": theirs,
    }
    taken: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + 2):
        for name, ask in work.items():
            began = time.perf_counter()
            for _ in range(times):
                await ask()
            if number >= 2:  # noqa: PLR2004 - the first rounds warm everything
                taken[name].append((time.perf_counter() - began) / times * 1_000_000)
    await place.close()
    await client.aclose()
    await bare.aclose()
    least_of = {name: min(values) for name, values in taken.items()}
    ours, *trips = list(least_of.values())[:3]
    print(f"\n{'in Redis':<38} {'µs':>10} {'trips':>7}")
    for name, cost in least_of.items():
        print(f"{name:<38} {cost:>10.1f} {cost / min(trips):>7.2f}")
    return ours / min(trips)


def main() -> None:
    """Run, and exit 1 where counting costs more than its floors allow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, under 45 seconds")
    quick = parser.parse_args().quick
    memory = in_memory(30 if quick else 100)
    with server() as port:
        trips = asyncio.run(in_redis(port, 40 if quick else 400))
    print(
        f"\nthree limits: {memory:.2f} µs in memory, {trips:.2f} round trips in Redis; "
        f"floors {MOST_MICROSECONDS} µs and {MOST_TRIPS} round trips"
    )
    sys.exit(memory > MOST_MICROSECONDS or trips > MOST_TRIPS)


if __name__ == "__main__":
    main()
