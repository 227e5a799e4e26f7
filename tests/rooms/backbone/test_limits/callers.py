"""Who asks in these tests."""

from dataclasses import replace

from bartizan.foundation import ids
from bartizan.foundation.context import Caller

ACME, GLOBEX = ids.new("org"), ids.new("org")
ALL = frozenset({"limits:read", "limits:write"})


def person(org_id: str | None = ACME, *, operator: bool = False, may: frozenset[str] = frozenset()) -> Caller:
    user_id = ids.new("usr")
    return Caller(id=user_id, kind="user", user_id=user_id, org_id=org_id, operator=operator, permissions=may)


def key(owner: Caller | None = None, org_id: str = ACME) -> Caller:
    """Give a key of a person, or without one of the organization's."""
    return Caller(id=ids.new("key"), kind="key", org_id=org_id, user_id=owner.user_id if owner else None)


def elsewhere(caller: Caller, org_id: str | None) -> Caller:
    return replace(caller, org_id=org_id)


ADMIN = person(may=ALL)
MEMBER = person()
NEIGHBOUR = person(GLOBEX, may=ALL)
OPERATOR = person(None, operator=True)
