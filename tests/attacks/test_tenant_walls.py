"""Dozens of ways to reach another organization's rows; each is scoped or refused, on both databases.

It needs nothing but pytest and the database room, so it runs under each SQLAlchemy line that we support.
"""

import pytest
from sqlalchemy import func, select

from bartizan.foundation.context import Caller, NobodyAsks, NoOrganization, current
from tests.attacks.walls import below, reading, writing
from tests.attacks.walls.arena import Undo, acting_for, leaks, seeded
from tests.attacks.walls.models import MATRIX, A, B, Doc, Proj, Tag, links


@pytest.fixture
def url(empty_database_url: str) -> str:
    return empty_database_url


@pytest.mark.feature("TEN-07")
async def test_no_way_reaches_another_organization(url: str) -> None:
    assert len(MATRIX) >= 67, (reading, writing, below)
    async with seeded(url) as database:
        with acting_for(A):
            assert await leaks(database.transaction, set()) == []


@pytest.mark.feature("TEN-07")
@pytest.mark.parametrize("name", ["select(Doc)", "text()", "Core insert is stamped", "update()"])
async def test_without_an_organization_everything_is_refused(url: str, name: str) -> None:
    async with seeded(url) as database:
        for caller, refusal in ((None, NobodyAsks), (Caller(id="usr_x", kind="user"), NoOrganization)):
            with current.acting_as(caller), pytest.raises(refusal):
                async with database.transaction() as session:
                    await session.run_sync(MATRIX[name])


async def test_the_system_and_stores_see_across(url: str) -> None:
    async with seeded(url) as database:
        with current.as_system():
            async with database.reading() as session:
                assert await session.scalar(select(func.count(Doc.id))) == 7
        with acting_for(A):
            async with database.reading() as session:
                assert await session.scalar(select(func.count(Doc.id))) == 3
                with database.across_organizations():
                    assert await session.scalar(select(func.count(Doc.id))) == 7
                assert await session.scalar(select(func.count(Doc.id))) == 3


async def test_what_a_block_across_changed_may_be_flushed_after_it(url: str) -> None:
    async with seeded(url) as database:
        with acting_for(A):
            async with database.transaction() as session:
                with database.across_organizations():
                    (await session.get_one(Doc, 11)).title = "by the platform"
                (await session.get_one(Doc, 1)).title = "by us"
        with current.as_system():
            async with database.reading() as session:
                titles = await session.scalars(select(Doc.title).where(Doc.id.in_([1, 11])).order_by(Doc.id))
                assert titles.all() == ["by us", "by the platform"]


async def test_ordinary_work_of_the_unit_of_work_passes(url: str) -> None:
    async with seeded(url) as database:
        with acting_for(A):
            async with database.transaction() as session:
                proj = await session.get_one(Proj, 1)
                session.add(Doc(id=70, title="new", proj=proj, tags=[await session.get_one(Tag, 1)]))
                await session.flush()
                doc = await session.get_one(Doc, 1)
                doc.title = "changed"
                await session.delete(await session.get_one(Doc, 3))
                (await session.run_sync(lambda _: doc.tags)).clear()
            async with database.reading() as session:
                found = await session.scalars(select(Doc.title).order_by(Doc.id))
                assert found.all() == ["changed", "A1", "new"]
                assert (
                    await session.execute(select(links.c.doc_id).where(links.c.org_id == A))
                ).scalars().all() == [70]


async def test_the_setting_follows_through_savepoints(url: str) -> None:
    async with seeded(url) as database:
        with acting_for(A):
            async with database.transaction() as session:
                with pytest.raises(Undo):  # noqa: PT012
                    async with database.savepoint():
                        with current.in_organization(B):
                            assert await session.scalar(select(func.count(Doc.id))) == 4
                            raise Undo
                assert await session.scalar(select(func.count(Doc.id))) == 3
