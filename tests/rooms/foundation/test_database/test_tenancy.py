"""What counts as proof that a statement keeps to one organization, and a wall around a host's own models."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

import pytest
from sqlalchemy import ForeignKey, create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

from bartizan.foundation.database.errors import OutsideOrganization
from bartizan.foundation.database.tenancy import TenantWall
from bartizan.foundation.database.tenancy.proof import prove

KEYS = {"doc": ("id",), "proj": ("id",), "link": ("doc_id", "tag_id")}

UPSERT = "insert into doc (id, org_id, t) values (1, :p0, 2)"
PROVEN = [
    "select * from doc where org_id = :p0",
    "select * from doc d where :p0 = d.org_id and d.id > 3",
    "select * from doc where (org_id = cast(:p0 as varchar) and id = 1)",
    "select * from doc where org_id = 'org_a'",
    "select d.* from doc d join proj p on p.org_id = d.org_id where d.org_id = :p0",
    "select d.* from doc d left join proj p on p.id = d.proj_id and p.org_id = :p0 where d.org_id = :p0",
    "select d.* from doc d left join (link l join proj p on p.x = l.x and p.org_id = l.org_id)"  # noqa: ISC004
    " on l.org_id = d.org_id where d.org_id = :p0",
    "select * from teams t join doc d on d.org_id = t.org_id where t.org_id = :p0",
    "select * from proj p where p.org_id = :p0 and exists (select 1 from doc d where d.org_id = p.org_id)",
    "with mine as (select * from doc where org_id = :p0) select * from mine",
    "select * from doc where org_id = :p0 union all select * from doc where org_id = :p1",
    "select * from doc where org_id = :p0 for update of doc skip locked",
    "update doc set title = 'x' where org_id = :p0",
    "update doc set title = 'x', org_id = :p1 where org_id = :p0",
    "delete from doc where doc.org_id = :p0 returning id",
    "insert into doc (id, org_id) values (1, :p0), (2, :p1)",
    "insert into doc (id, org_id) select id, :p0 from doc where org_id = :p0",
    "insert into doc (id, org_id) values (1, :p0) on conflict do nothing",
    f"{UPSERT} on conflict (org_id, id) do update set t = excluded.t",
    f"{UPSERT} on conflict (id) do update set t = excluded.t where doc.org_id = :p1",
    f"{UPSERT} on conflict (id) do update set t = excluded.t where doc.org_id = excluded.org_id",
    f"{UPSERT} on conflict (org_id, id) do update set org_id = excluded.org_id",
    "select 'doc' as doc from teams",
]
REFUSED = [
    "select * from doc",
    "select * from doc where org_id = :p0 or id = 1",
    "select * from doc where not (org_id = :p0)",
    "select * from doc where org_id <> :p0",
    "select * from doc where org_id = org_id",
    "select * from doc where lower(org_id) = :p0",
    "select * from doc d, proj p where org_id = :p0",
    "select * from doc a join doc b on b.id = a.id where a.org_id = :p0",
    "select d.* from doc d left join proj p on d.org_id = :p0 and p.org_id = :p0",
    "select d.* from proj p right join doc d on d.org_id = :p0 where p.org_id = :p0",
    "select d.* from doc d full join proj p on d.org_id = :p0 and p.org_id = :p0",
    "select * from doc natural join proj",
    "select (select max(title) from doc) from teams",
    "select * from teams where id in (select team_id from doc)",
    "with doc as (select * from proj where org_id = :p0) select * from doc",
    "with gone as (delete from doc returning *) select * from gone",
    "select * from doc where org_id = :p0 union all select * from doc",
    "update doc set org_id = (select 'org_b') where org_id = :p0",
    "update teams set name = d.title from doc d where d.id = teams.id",
    "delete from teams using doc where doc.id = teams.id",
    "insert into doc (id) values (1)",
    "insert into doc values (1, :p0)",
    "insert into doc default values",
    "insert into doc (id, org_id) values (1, :p0), (2, lower('X'))",
    "insert into doc (id, org_id) select id, org_id from doc where org_id = :p0",
    "insert or replace into doc (id, org_id) values (1, :p0)",
    "replace into doc (id, org_id) values (1, :p0)",
    f"{UPSERT} on conflict (id) do update set t = excluded.t",
    f"{UPSERT} on conflict (id) do update set t = 3 where doc.t = 4",
    "insert into doc (id, org_id) values (1, :p0) on conflict (org_id, id) do update set org_id = lower('X')",
    "select * from doc where org_id = :p0; delete from doc",
    "drop table doc",
    "truncate doc",
    "explain select * from doc",
    "select * from doc where (",
]


@pytest.mark.feature("TEN-07")
@pytest.mark.parametrize("sql", PROVEN)
def test_a_statement_that_keeps_to_one_organization_is_proven(sql: str) -> None:
    proof = prove(sql, "sqlite" if " or replace" in sql else "postgres", KEYS, "org_id")
    assert proof.refused == frozenset()
    assert bool(proof.required) is (sql != PROVEN[-1])


@pytest.mark.feature("TEN-07")
@pytest.mark.parametrize("sql", REFUSED)
def test_a_statement_that_might_not_is_refused(sql: str) -> None:
    assert prove(sql, "sqlite" if "replace" in sql else "postgres", KEYS, "org_id").refused


def test_a_write_by_primary_key_is_recognised_for_the_unit_of_work() -> None:
    proof = prove("update link set x = :p0 where doc_id = :p1 and tag_id = :p2", "sqlite", KEYS, "org_id")
    assert proof.refused == {"link"}
    assert proof.by_key == ("link", (("doc_id", ":p1"), ("tag_id", ":p2")))
    assert prove("update link set x = 1 where doc_id = :p0", "sqlite", KEYS, "org_id").by_key is None


TENANT: ContextVar[str | None] = ContextVar("tenant", default=None)


class HostBase(DeclarativeBase):
    """A host application's models, which know nothing of us."""


class Owned:
    """What its tenants own."""

    tenant: Mapped[str | None] = mapped_column(default=TENANT.get)


class Customer(Owned, HostBase):
    __tablename__ = "host_customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    orders: Mapped[list["Order"]] = relationship()


class Order(Owned, HostBase):
    __tablename__ = "host_order"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("host_customer.id"))


@contextmanager
def tenant(name: str) -> Generator[None]:
    token = TENANT.set(name)
    yield
    TENANT.reset(token)


@pytest.mark.feature("TEN-07")
def test_a_host_puts_a_wall_around_its_own_models_and_plain_sessions() -> None:
    engine = create_engine("sqlite://")
    sessions = sessionmaker(engine)
    wall = TenantWall(Owned, column="tenant", org=TENANT.get)
    wall.install(sessions.class_, engine)
    with tenant("*"):
        HostBase.metadata.create_all(engine)
    for name, number in (("a", 1), ("b", 2)):
        with tenant(name), sessions.begin() as session:
            session.add(Customer(id=number, orders=[Order(id=number)]))
    with tenant("a"), sessions() as session:
        assert [order.id for order in session.scalars(select(Customer)).one().orders] == [1]
        assert session.get(Customer, 2) is None
        with pytest.raises(OutsideOrganization):
            session.execute(text("select * from host_order"))
        session.add(Order(id=9, customer_id=1, tenant="b"))
        with pytest.raises(OutsideOrganization):
            session.flush()
    with tenant("*"), sessions() as session:
        assert [order.tenant for order in session.scalars(select(Order).order_by(Order.id))] == ["a", "b"]
    with Session(engine) as session, pytest.raises(Exception, match="signed in"):
        session.scalars(select(Order)).all()
    engine.dispose()
