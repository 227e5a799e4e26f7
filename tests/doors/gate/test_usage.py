"""Counting and quotas around an app, with plans as the house has them."""

from typing import Any

import pytest

from bartizan.access.orgs import PlanChanges
from bartizan.doors.frameworks import wrap
from bartizan.doors.testing import Cast, program
from bartizan.foundation.context import current
from tests.doors.hosts import echo

API = "/_bartizan/api/v1"


@pytest.mark.feature("RATE-04", "RATE-06")
async def test_a_plan_that_is_used_up_refuses_until_there_is_another(
    bartizan_settings: dict[str, Any],
) -> None:
    app = wrap(echo(), {**bartizan_settings, "orgs": {"plans": {"free": {"requests_per_day": 3}}}})
    bz = app.bz
    await bz.start(embedded=False)
    cast = Cast(bz)
    ada = await cast.person(await cast.organization(), "admin")
    async with program(app, ada) as http:
        assert (await http.get("/things")).status_code == 200
        await bz.usage.flush()
        answers = [await http.get("/things") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        refused = answers[-1]
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["retry-after"]) > 0
        assert (refused.json()["code"], refused.json()["scope"]) == ("quota-used-up", "quota")
        await bz.usage.flush()
        shown = (await http.get(f"{API}/usage/quotas")).json()
        assert [(one["resource"], one["limit"], one["used"]) for one in shown] == [("requests_per_day", 3, 3)]
        assert (await http.get(f"{API}/usage")).json()["client_errors"] == 2
        with current.as_system():
            await bz.orgs.plan(ada.org_id, PlanChanges(plan="pro"))
        await bz.usage.flush()
        await http.get("/things")
        await bz.usage.flush()
        assert (await http.get("/things")).status_code == 200
    await bz.stop()
    assert bz.usage.pending == 0
