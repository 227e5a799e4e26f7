"""Dozens of ways to another tenant's rows of a host's own models; each is scoped or refused.

Five styles of mapping, a column or a table beside, SQLite and PostgreSQL, organizations and teams.
"""

from typing import Any

import pytest

from bartizan.foundation.context import NobodyAsks, NoOrganization, NoTeam
from tests.attacks.adoption.arena import A, acting_for, leaks, seeded
from tests.attacks.adoption.reading import READING
from tests.attacks.adoption.worlds import STYLES
from tests.attacks.adoption.writing import WRITING

WAYS = READING | WRITING


@pytest.fixture
def url(empty_database_url: str) -> str:
    return empty_database_url


@pytest.mark.feature("X-22", "TEN-07")
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("terms", [{}, {"side_table": True}], ids=["column", "beside"])
async def test_no_way_reaches_another_tenant(url: str, style: str, terms: dict[str, Any]) -> None:
    assert len(WAYS) >= 67
    async with seeded(STYLES[style](), url, **terms) as (host, _):
        with acting_for(A):
            assert await leaks(host, WAYS) == []
