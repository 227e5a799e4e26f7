"""A process that counts requests until it is killed, and tells after each what would be lost."""

import asyncio
import sys

from bartizan.backbone.events import Events
from bartizan.backbone.usage import Usage
from bartizan.foundation.clock import Clock
from bartizan.foundation.database import Database


async def main(url: str, org_id: str) -> None:
    clock = Clock()
    database = Database(url)
    usage = Usage(database, Events(database, clock=clock), clock=clock)
    await usage.start()
    added = 0
    while True:
        usage.add(org_id, "usr_1", "GET", f"/{added % 7}", 200, 0.001 * (added % 50))
        added += 1
        print(added, usage.pending, flush=True)  # noqa: T201 - how it talks to the test
        await asyncio.sleep(0.002)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
