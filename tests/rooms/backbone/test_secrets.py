import logging
from collections.abc import AsyncGenerator

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import text

from bartizan.backbone.events import Envelope, Events
from bartizan.backbone.secrets import (
    InvalidSecretName,
    NewSecret,
    SecretExists,
    SecretRotation,
    Secrets,
    SecretsSettings,
    SecretUnreadable,
    TooManySecrets,
    UnknownSecret,
)
from bartizan.backbone.secrets.capability import capability
from bartizan.backbone.secrets.routes import routes
from bartizan.foundation import ids
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, OperatorsOnly, PermissionMissing, current
from bartizan.foundation.crypto import Keyring
from bartizan.foundation.database import Database
from tests.harness.keys import keyring, newer

ACME, GLOBEX = ids.new("org"), ids.new("org")
BOTH = frozenset({"secrets:read", "secrets:write"})
ADMIN = Caller(id=ids.new("usr"), kind="user", org_id=ACME, permissions=BOTH)
NEIGHBOUR = Caller(id=ids.new("usr"), kind="user", org_id=GLOBEX, permissions=BOTH)
READER = Caller(id=ids.new("usr"), kind="user", org_id=ACME, permissions=frozenset({"secrets:read"}))
MEMBER = Caller(id=ids.new("usr"), kind="user", org_id=ACME)
OPERATOR = Caller(id=ids.new("usr"), kind="user", operator=True)


@pytest.fixture
def keys() -> Keyring:
    return keyring()


@pytest.fixture
def events(database: Database, clock: ManualClock) -> Events:
    return Events(database, clock=clock)


@pytest.fixture
def secrets(database: Database, events: Events, keys: Keyring, clock: ManualClock) -> Secrets:
    return Secrets(database, events, keys, SecretsSettings(keep_versions=2, most=3), clock=clock)


@pytest.fixture
async def client(secrets: Secrets) -> AsyncGenerator[AsyncClient]:
    app = FastAPI()
    app.include_router(routes(secrets))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


def new(name: str = "stripe.key", value: str = "hunter2", **more: str) -> NewSecret:
    return NewSecret(name=name, value=SecretStr(value), **more)


def other(value: str) -> SecretRotation:
    return SecretRotation(value=SecretStr(value))


async def test_code_reads_what_was_stored(secrets: Secrets, clock: ManualClock) -> None:
    with current.acting_as(ADMIN):
        made = await secrets.create(new(description="Payments"))
        assert (made.name, made.version, made.description, made.set_by) == (
            "stripe.key",
            1,
            "Payments",
            ADMIN.id,
        )
        assert made.created_at == made.set_at == clock.now()
    with current.acting_as(MEMBER):
        assert await secrets.get("stripe.key") == "hunter2"


async def test_another_organization_sees_nothing(secrets: Secrets) -> None:
    with current.acting_as(ADMIN):
        await secrets.create(new())
    with current.acting_as(NEIGHBOUR):
        assert (await secrets.list()).items == []
        for attempt in (secrets.get, secrets.describe, secrets.delete):
            with pytest.raises(UnknownSecret):
                await attempt("stripe.key")
        with pytest.raises(UnknownSecret):
            await secrets.rotate("stripe.key", other("x"))
        await secrets.create(new(value="theirs"))
    with current.acting_as(ADMIN):
        assert await secrets.get("stripe.key") == "hunter2"


async def test_a_rotated_secret_has_a_new_value_and_keeps_the_old_by_number(secrets: Secrets) -> None:
    with current.acting_as(ADMIN):
        first = await secrets.create(new(description="Payments"))
        second = await secrets.rotate("stripe.key", other("second"))
        assert (second.version, second.created_at, second.description) == (2, first.created_at, "Payments")
        assert await secrets.get("stripe.key") == "second"
        assert await secrets.get("stripe.key", version=1) == "hunter2"
        assert [item.version for item in (await secrets.list()).items] == [2]


async def test_old_versions_go_when_newer_ones_fill_the_place(secrets: Secrets) -> None:
    with current.acting_as(ADMIN):
        await secrets.create(new())
        await secrets.rotate("stripe.key", other("second"))
        await secrets.rotate("stripe.key", other("third"))
        with pytest.raises(UnknownSecret):
            await secrets.get("stripe.key", version=1)
        assert await secrets.get("stripe.key", version=2) == "second"


async def test_a_name_is_taken_once_and_free_after_deletion(secrets: Secrets) -> None:
    with current.acting_as(ADMIN):
        await secrets.create(new())
        with pytest.raises(SecretExists):
            await secrets.create(new())
        await secrets.delete("stripe.key")
        with pytest.raises(UnknownSecret):
            await secrets.get("stripe.key")
        assert (await secrets.create(new(value="again"))).version == 1


async def test_the_list_goes_by_name_and_in_pages(secrets: Secrets) -> None:
    with current.acting_as(ADMIN):
        for name in ("c", "a", "b"):
            await secrets.create(new(name))
        page = await secrets.list(limit=2)
        assert [item.name for item in page.items] == ["a", "b"]
        page = await secrets.list(limit=2, cursor=page.next)
        assert ([item.name for item in page.items], page.next) == (["c"], None)


async def test_an_organization_cannot_store_without_end(secrets: Secrets) -> None:
    with current.acting_as(ADMIN):
        for name in ("a", "b", "c"):
            await secrets.create(new(name))
        with pytest.raises(TooManySecrets):
            await secrets.create(new("d"))


@pytest.mark.parametrize("caller", [READER, MEMBER])
async def test_changing_needs_permission(secrets: Secrets, caller: Caller) -> None:
    with current.acting_as(caller):
        with pytest.raises(PermissionMissing):
            await secrets.create(new())
        with pytest.raises(PermissionMissing):
            await secrets.rotate("stripe.key", other("x"))
        with pytest.raises(PermissionMissing):
            await secrets.delete("stripe.key")


async def test_seeing_the_list_needs_permission(secrets: Secrets) -> None:
    with current.acting_as(MEMBER):
        with pytest.raises(PermissionMissing):
            await secrets.list()
        with pytest.raises(PermissionMissing):
            await secrets.describe("stripe.key")


async def test_the_platforms_secrets_are_the_operators(secrets: Secrets) -> None:
    with current.acting_as(OPERATOR):
        await secrets.create(new(value="platform"), platform=True)
        assert [item.name for item in (await secrets.list(platform=True)).items] == ["stripe.key"]
        await secrets.rotate("stripe.key", other("newer"), platform=True)
    with current.acting_as(ADMIN):
        with pytest.raises(OperatorsOnly):
            await secrets.list(platform=True)
        with pytest.raises(OperatorsOnly):
            await secrets.create(new("mine"), platform=True)
        with pytest.raises(UnknownSecret):
            await secrets.get("stripe.key")
        assert await secrets.get("stripe.key", platform=True) == "newer"
    with current.acting_as(OPERATOR):
        await secrets.delete("stripe.key", platform=True)
        with pytest.raises(UnknownSecret):
            await secrets.get("stripe.key", platform=True)


@pytest.mark.parametrize("name", ["", "1st", "a b", "a/b", "../x", "x" * 81, "name\n"])
async def test_a_strange_name_is_refused(secrets: Secrets, name: str) -> None:
    with current.acting_as(ADMIN), pytest.raises(InvalidSecretName):
        await secrets.get(name)


async def test_every_reading_and_change_is_announced_without_the_value(
    secrets: Secrets, events: Events
) -> None:
    heard: list[Envelope] = []
    events.listen("*", heard.append)
    with current.acting_as(ADMIN):
        await secrets.create(new())
        await secrets.get("stripe.key")
        await secrets.rotate("stripe.key", other("hunter3"))
        await secrets.delete("stripe.key")
    assert [e.type for e in heard] == ["secret.created", "secret.read", "secret.rotated", "secret.deleted"]
    assert {e.tenant_id for e in heard} == {ACME}
    assert "hunter" not in repr(heard)


async def test_a_value_is_neither_in_the_database_nor_in_what_is_shown(
    secrets: Secrets, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with current.acting_as(ADMIN):
        made = await secrets.create(new())
        shown = await secrets.describe("stripe.key")
    with database.across_organizations():
        query = text("select sealed from bz_secrets")
        rows = await database.write(lambda connection: connection.execute(query).all())
    assert "hunter2" not in repr(made) + repr(shown) + repr(new()) + repr([bytes(r.sealed) for r in rows])
    assert "hunter2" not in caplog.text


async def test_a_seal_moved_to_another_name_does_not_open(secrets: Secrets, database: Database) -> None:
    with current.acting_as(ADMIN):
        await secrets.create(new("a", "for a"))
        await secrets.create(new("b", "for b"))
        async with database.transaction() as session:
            await session.execute(
                text(
                    "update bz_secrets set sealed = (select s.sealed from bz_secrets s"
                    " where s.name = 'a' and s.org_id = :org) where name = 'b' and org_id = :org"
                ),
                {"org": ACME},
            )
        with pytest.raises(SecretUnreadable):
            await secrets.get("b")


async def test_sealing_anew_survives_the_loss_of_the_old_key(
    secrets: Secrets, database: Database, events: Events, clock: ManualClock
) -> None:
    with current.acting_as(ADMIN):
        await secrets.create(new())
        await secrets.rotate("stripe.key", other("second"))
    with current.acting_as(NEIGHBOUR):
        await secrets.create(new(value="theirs"))
    with current.acting_as(OPERATOR):
        await secrets.create(new(value="platform"), platform=True)
    both, only_new = newer()
    with current.acting_as(ADMIN), pytest.raises(SecretUnreadable):
        await Secrets(database, events, only_new, clock=clock).get("stripe.key")
    with current.as_system():
        assert await Secrets(database, events, both, clock=clock).reseal() == 4
        assert await Secrets(database, events, both, clock=clock).reseal() == 0
        with pytest.raises(SecretUnreadable):
            await Secrets(
                database, events, Keyring(["another key altogether, long enough"]), clock=clock
            ).reseal()
    after = Secrets(database, events, only_new, clock=clock)
    with current.acting_as(ADMIN):
        assert await after.get("stripe.key") == "second"
        assert await after.get("stripe.key", version=1) == "hunter2"
        assert await after.get("stripe.key", platform=True) == "platform"
        with pytest.raises(OperatorsOnly):
            await after.reseal()
    with current.acting_as(NEIGHBOUR):
        assert await after.get("stripe.key") == "theirs"


async def test_over_http_a_value_goes_in_and_never_comes_out(client: AsyncClient) -> None:
    with current.acting_as(ADMIN):
        made = await client.post("/secrets", json={"name": "stripe.key", "value": "hunter2"})
        assert made.status_code == 201
        changed = await client.put("/secrets/stripe.key", json={"value": "hunter3"})
        shown = await client.get("/secrets/stripe.key")
        listed = await client.get("/secrets")
        assert shown.json()["version"] == 2
        for answer in (made, changed, shown, listed):
            assert "hunter" not in answer.text
        assert (await client.delete("/secrets/stripe.key")).status_code == 204


def test_the_inventory_names_what_the_room_has() -> None:
    assert capability.name == "secrets"
    assert {p.name for p in capability.permissions} == {"secrets:read", "secrets:write"}
