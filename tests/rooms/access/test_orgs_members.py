import pytest

from bartizan.access.orgs import (
    MemberChanges,
    NewMember,
    UnknownMember,
)
from bartizan.foundation.context import current
from tests.harness.access import Floor


@pytest.mark.feature("TEN-03")
async def test_members_are_added_listed_changed_and_removed(floor: Floor) -> None:
    acme = await floor.organization()
    ann = floor.town.register("ann")
    with current.acting_as(await acme.caller()):
        added = await floor.orgs.members.create(NewMember(user_id=ann.id, role="viewer"))
        assert (added.roles, added.email, added.status, added.source) == (
            ["viewer"],
            ann.email,
            "active",
            "added",
        )
        changed = await floor.orgs.members.update(ann.id, MemberChanges(role="admin"))
        assert changed.roles == ["admin"]
        page = await floor.orgs.members.list()
        assert [member.user_id for member in page.items] == [ann.id, acme.owner.id]
        await floor.orgs.members.delete(ann.id)
        with pytest.raises(UnknownMember):
            await floor.orgs.members.get(ann.id)
    assert (await floor.rbac.effective(ann.id, acme.id)).permissions == frozenset()
    assert [envelope.data["user_id"] for envelope in floor.heard("member.removed")] == [ann.id]
