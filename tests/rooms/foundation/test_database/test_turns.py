"""Writers of one process take turns."""

import asyncio

import pytest

from bartizan.foundation.database import Database


@pytest.mark.feature("X-13")
async def test_who_waits_behind_a_slow_transaction_that_fails_gets_the_turn(database: Database) -> None:
    holding = asyncio.Event()

    async def slow_and_failing() -> None:
        async with database.transaction():
            holding.set()
            await asyncio.sleep(0.02)  # longer than a batch of commits takes on further units
            raise RuntimeError("after a while")

    async def patient() -> bool:
        await holding.wait()
        async with database.transaction():
            return True

    async with asyncio.timeout(5):
        failed, served = await asyncio.gather(slow_and_failing(), patient(), return_exceptions=True)
    assert isinstance(failed, RuntimeError)
    assert served is True
