"""Dozens of ways to another tenant's rows of a host's own models; each is scoped or refused.

Five styles of mapping, a column or a table beside, SQLite and PostgreSQL, organizations and teams.
"""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from bartizan.foundation.context import Caller, NobodyAsks, NoOrganization, NoTeam, current
from bartizan.foundation.database import Adoption
from tests.attacks.walls.adopted.reading import READING, Way
from tests.attacks.walls.adopted.writing import WRITING
from tests.harness.databases import PostgreSQL
from tests.harness.hosted.arena import A, acting_for, leaks, seeded
from tests.harness.hosted.worlds import STYLES, World

WAYS = READING | WRITING


@pytest.fixture
def url(empty_database_url: str) -> str:
    return empty_database_url


@pytest.fixture
def server_url(postgresql: PostgreSQL) -> str:
    return postgresql.empty()


@pytest.mark.feature("X-22", "TEN-07")
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("terms", [{}, {"side_table": True}], ids=["column", "beside"])
async def test_no_way_reaches_another_tenant(url: str, style: str, terms: dict[str, Any]) -> None:
    assert len(WAYS) >= 67
    async with seeded(STYLES[style](), url, **terms) as (host, _):
        with acting_for(A):
            assert await leaks(host, WAYS) == []


@pytest.mark.feature("X-22")
async def test_no_way_reaches_another_team(url: str) -> None:
    ways = {name: way for name, way in WAYS.items() if "names another tenant" not in name}
    async with seeded(STYLES["declarative"](), url, by="team") as (host, _):
        with acting_for(A):
            assert await leaks(host, ways) == []


@pytest.mark.feature("X-22")
@pytest.mark.parametrize("by", ["org", "team"])
@pytest.mark.parametrize(
    "name", ["select", "text()", "update()", "get, cold", "a bulk insert that names another tenant"]
)
async def test_without_a_tenant_everything_is_refused(url: str, by: str, name: str) -> None:
    nothing = NoOrganization if by == "org" else NoTeam
    async with seeded(STYLES["declarative"](), url, by=by) as (host, _):
        for caller, refusal in ((None, NobodyAsks), (Caller(id="usr_x", kind="user"), nothing)):
            with current.acting_as(caller), pytest.raises(refusal):
                await host.run(lambda session: WAYS[name](session, host.world))


@pytest.mark.feature("X-22")
async def test_the_guard_holds_without_the_criteria(url: str) -> None:
    async with seeded(STYLES["inherited"](), url) as (host, adoption):
        wall_of(adoption).remove()
        with acting_for(A):
            assert set(await leaks(host, READING)) <= HELD


@pytest.mark.feature("X-22")
async def test_without_the_guard_what_the_orm_does_not_see_leads_through(url: str) -> None:
    async with seeded(STYLES["declarative"](), url) as (host, adoption):
        guard_of(adoption).remove()
        with acting_for(A):
            through = {name.partition(":")[0] for name in await leaks(host, WAYS)}
        assert {"text()", "driver SQL", "Core select through the session", "secondary table"} <= through
        assert not {"select", "get, cold", "lazy one-to-many", "joinedload", "any()", "update()"} & through


@pytest.mark.feature("X-22")
async def test_without_both_most_ways_lead_through(url: str) -> None:
    async with seeded(STYLES["declarative"](), url) as (host, adoption):
        adoption.abandon()
        with acting_for(A):
            assert len(await leaks(host, WAYS)) > 45


@pytest.mark.feature("X-22", "TEN-07")
async def test_no_way_passes_the_policies_of_postgresql_alone(server_url: str) -> None:
    async with seeded(STYLES["declarative"](), server_url, policies=True) as (host, adoption):
        with acting_for(A):
            assert await leaks(host, WAYS) == []
        adoption.abandon()

        def told(way: Way) -> Way:
            def tell(session: Session, world: World) -> bool:
                session.execute(text("select set_config('bartizan.org_id', :owner, true)"), {"owner": A})
                return way(session, world)

            return tell

        ways = {name: told(way) for name, way in READING.items()}
        # A way that starts from a foreign object finds none to start from.
        assert [name for name in await leaks(host, ways) if "NoResultFound" not in name] == []


HELD = {"get of an object that the session holds"}


def wall_of(adoption: Adoption) -> Any:
    return adoption._kinds["org"].wall


def guard_of(adoption: Adoption) -> Any:
    return adoption._kinds["org"].guard
