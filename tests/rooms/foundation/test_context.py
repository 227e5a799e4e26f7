"""Context and errors: who asks, for whom, and the ways to say no."""

import asyncio

import pytest

from bartizan.foundation import errors
from bartizan.foundation.context import (
    Caller,
    NobodyAsks,
    NoOrganization,
    OperatorsOnly,
    Origin,
    Permission,
    PermissionMissing,
    current,
)
from bartizan.foundation.errors import (
    BartizanError,
    Fault,
    Forbidden,
    Invalid,
    NotFound,
    Refusal,
    TooMany,
    Unauthenticated,
    Unavailable,
)

READ = Permission("keys:read", "See keys")


def person(*permissions: str, **facts: object) -> Caller:
    given = {"id": "usr_1", "user_id": "usr_1", "org_id": "org_1", "kind": "user", **facts}
    return Caller(permissions=frozenset(permissions), **given)  # type: ignore[arg-type]


def test_without_a_caller_everything_is_refused() -> None:
    assert current.anyone is None
    assert current.origin is None
    assert not current.allows(READ)
    with pytest.raises(NobodyAsks):
        _ = current.caller
    with pytest.raises(Unauthenticated):
        _ = current.org_id
    with pytest.raises(Unauthenticated):
        current.require(READ)
    with pytest.raises(Unauthenticated):
        current.require_operator()


def test_a_caller_may_what_it_carries_and_the_refusal_names_what_is_missing() -> None:
    with current.acting_as(person("keys:read")):
        current.require(READ)
        current.require("keys:read")
        assert current.allows("keys:read")
        assert not current.allows("keys:write")
        with pytest.raises(PermissionMissing) as caught:
            current.require("keys:write")
        assert caught.value.facts == {"permission": "keys:write"}
        assert (current.org_id, current.user_id) == ("org_1", "usr_1")


def test_without_an_organization_there_is_none_to_act_for() -> None:
    with current.acting_as(person(org_id=None)), pytest.raises(NoOrganization):
        _ = current.org_id


def test_what_needs_a_person_refuses_keys_and_the_system() -> None:
    for caller in (Caller(id="key_1", kind="key"), Caller(id="jobs", kind="system")):
        with current.acting_as(caller), pytest.raises(Forbidden):
            _ = current.user_id


def test_the_system_may_everything_in_the_organization_it_acts_for() -> None:
    with current.as_system("org_1", "scheduler"):
        current.require("anything:at-all")
        current.require_operator()
        assert current.allows(READ)
        assert (current.caller.id, current.org_id) == ("scheduler", "org_1")
    with current.as_system(), pytest.raises(NoOrganization):
        _ = current.org_id


def test_operators_are_few() -> None:
    with current.acting_as(person(operator=True)):
        current.require_operator()
        with pytest.raises(PermissionMissing):
            current.require(READ)
    with current.acting_as(person("keys:read")), pytest.raises(OperatorsOnly):
        current.require_operator()


def test_blocks_nest_and_end() -> None:
    origin = Origin(request_id="req_1")
    with current.receiving(origin), current.acting_as(person("keys:read")):
        with current.in_organization("org_2"):
            assert current.org_id == "org_2"
            assert current.allows("keys:read")
        with current.acting_as(None), current.receiving(None):
            assert current.anyone is None
            assert current.origin is None
        assert current.org_id == "org_1"
        assert current.origin is origin
    assert current.anyone is None


def test_a_block_that_fails_ends_as_well() -> None:
    with pytest.raises(KeyError), current.acting_as(person()):
        raise KeyError
    assert current.anyone is None


async def test_tasks_that_run_together_do_not_see_each_other() -> None:
    async def ask(org_id: str) -> str:
        with current.acting_as(person(org_id=org_id)):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return current.org_id

    wanted = [f"org_{number}" for number in range(50)]
    assert await asyncio.gather(*(ask(org_id) for org_id in wanted)) == wanted
    assert current.anyone is None


class UnknownApiKey(NotFound):
    """There is no such key.

    More is said here.
    """


class OIDCRefused(Refusal):
    pass


def test_the_class_gives_code_and_title() -> None:
    assert UnknownApiKey.code == "unknown-api-key"
    assert UnknownApiKey.title == "There is no such key."
    assert BartizanError.code == "bartizan-error"


def test_a_class_without_a_docstring_goes_by_its_name() -> None:
    assert OIDCRefused.title == "OIDCRefused"


def test_an_error_says_its_title_unless_it_knows_better() -> None:
    assert str(UnknownApiKey()) == "There is no such key."
    assert str(UnknownApiKey("Not that one.")) == "Not that one."
    assert UnknownApiKey(key_id="key_1").facts == {"key_id": "key_1"}
    assert UnknownApiKey().facts == {}


def test_every_kind_is_either_the_callers_or_the_operators() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and kind.__module__ == errors.__name__
    ]
    for kind in set(kinds) - {BartizanError}:
        assert issubclass(kind, BartizanError)
        assert issubclass(kind, Refusal) != issubclass(kind, Fault)
    assert issubclass(Unavailable, Fault)
    assert issubclass(TooMany, Refusal)


def test_codes_of_kinds_are_not_shared() -> None:
    with pytest.raises(Invalid):
        raise Invalid(field="name")
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BartizanError)
    ]
    assert len({kind.code for kind in kinds}) == len(kinds)
