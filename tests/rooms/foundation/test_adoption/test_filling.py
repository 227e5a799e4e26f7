"""Rows from before an adoption get an owner by the rule that the host states, or nothing starts."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from bartizan.foundation.context import current
from bartizan.foundation.database import Adoption
from bartizan.foundation.database.errors import UnownedRows
from bartizan.foundation.database.tenancy.adoption import places
from tests.harness.hosted.arena import A, B, Host, acting_for
from tests.harness.hosted.worlds import STYLES

BOTH = pytest.mark.parametrize("beside", [False, True], ids=["column", "beside"])


@pytest.fixture
def url(empty_database_url: str) -> str:
    return empty_database_url


async def old(url: str, style: str = "inherited", count: int = 5) -> Host:
    """A host that has worked without us for a while."""
    host = Host(STYLES[style](), url)
    await host.create()
    world = host.world

    def work(s: Session) -> None:
        s.add(world.Proj(id=1, name="old"))
        s.flush()
        s.add_all(world.doc(id=n, title=f"old{n}", proj_id=1) for n in range(1, count + 1))

    await host.run(work)
    return host


async def adopted(host: Host, existing: Any, *, beside: bool) -> Adoption:
    adoption = Adoption()
    try:
        adoption.adopt(*host.world.models, engine=host.engine, existing=existing, side_table=beside)
        await adoption.start()
    except BaseException:
        adoption.abandon()
        raise
    return adoption


async def seen(host: Host, owner: str) -> int:
    with acting_for(owner):
        return len(await host.run(lambda s: s.query(host.world.Doc).all()))


@pytest.mark.feature("X-22")
@BOTH
async def test_nothing_starts_while_rows_belong_to_nobody(url: str, *, beside: bool) -> None:
    host = await old(url)
    with pytest.raises(UnownedRows, match="existing=") as refused:
        await adopted(host, "refuse", beside=beside)
    assert refused.value.facts["rows"] == 1
    await host.close()


@pytest.mark.feature("X-22")
@BOTH
async def test_they_are_given_to_one_owner(
    url: str, *, beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "BATCH", 2)
    host = await old(url)
    adoption = await adopted(host, A, beside=beside)
    assert (await seen(host, A), await seen(host, B)) == (5, 0)
    await adoption.start()  # again, with nothing left to do
    adoption.abandon()
    await host.close()


@pytest.mark.feature("X-22")
@BOTH
async def test_or_by_a_function_of_the_row(
    url: str, *, beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "BATCH", 2)
    host = await old(url)

    def rule(row: Row[Any]) -> str:
        return A if row.id % 2 else B

    adoption = await adopted(host, rule, beside=beside)
    assert (await seen(host, A), await seen(host, B)) == (3, 2)
    adoption.abandon()
    await host.close()


@pytest.mark.feature("X-22")
async def test_interrupted_it_goes_on_where_it_stopped(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "BATCH", 2)
    host = await old(url, "declarative")
    asked: list[int] = []

    def failing(after: int) -> Callable[[Row[Any]], str]:
        def rule(row: Row[Any]) -> str:
            asked.append(row.id)
            if len(asked) > after:
                raise ConnectionError
            return A

        return rule

    with pytest.raises(ConnectionError):
        await adopted(host, failing(4), beside=False)  # the project, and one batch of documents
    before = len(asked)
    adoption = await adopted(host, failing(100), beside=False)
    assert asked[:before] == [1, 1, 2, 3, 4]
    assert asked[before:] == [3, 4, 5]
    assert await seen(host, A) == 5
    adoption.abandon()
    await host.close()


async def test_a_rule_that_knows_no_owner_is_told(url: str) -> None:
    host = await old(url, "declarative")
    with pytest.raises(UnownedRows, match="2 rows of host_doc"):
        await adopted(host, lambda row: A if row.id not in (2, 3) else None, beside=False)
    await host.close()


async def test_the_words_name_a_command_that_cures_it(url: str) -> None:
    host = await old(url, "declarative")
    with pytest.raises(UnownedRows) as refused:
        await adopted(host, "refuse", beside=False)
    _, _, command = str(refused.value).partition("Or run: ")
    with current.as_system():
        await host.run(lambda s: s.execute(text(command.replace("org_…", A))))
        await host.run(
            lambda s: s.execute(text(command.replace("org_…", A).replace("host_proj", "host_doc")))
        )
    adoption = await adopted(host, "refuse", beside=False)
    assert await seen(host, A) == 5
    adoption.abandon()
    await host.close()
