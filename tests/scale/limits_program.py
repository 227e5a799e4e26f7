"""A replica that asks as fast as it can: ``limits_program.py REDIS SECONDS``; it says what got through."""

import asyncio
import sys
import time

from bartizan.backbone.limits import Bucket, LimitsSettings, shared
from bartizan.foundation.settings import Rate

ORGANIZATION, PERSON = Rate(50, 1, 120), Rate(1000, 1, 900)
LANES = 8


async def main(address: str, seconds: float) -> None:
    place = shared(address, LimitsSettings(redis_timeout=5))
    assert place is not None
    buckets = (
        Bucket("organization", "org_acme", ORGANIZATION, org_id="org_acme"),
        Bucket("user", "usr_ada", PERSON, org_id="org_acme"),
    )
    began = time.monotonic()
    end = began + seconds
    passed = refused = 0

    async def lane() -> None:
        nonlocal passed, refused
        while time.monotonic() < end:
            if (await place.take(buckets)).allowed:
                passed += 1
            else:
                refused += 1

    await asyncio.gather(*(lane() for _ in range(LANES)))
    await place.close()
    sys.stdout.write(f"{passed} {refused} {began} {time.monotonic()}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
