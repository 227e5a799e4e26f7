"""Makes a host's database ready: columns, indexes, defaults, side tables, policies, owners for old rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    bindparam,
    event,
    func,
    insert,
    inspect,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.schema import CreateIndex

from bartizan.foundation.database.errors import NotAdoptable, UnownedRows, UnsafeDatabase
from bartizan.foundation.database.tenancy.rls import unbound_role, wall_statements

from .owners import across_tenants
from .stamps import default
from .tables import LENGTH, Adopted

BATCH = 500
"""Rows in one commit."""
_MAPPING = "_mapping"
_EXAMPLES = {"org": "org_…", "team": "tea_…"}


def make_ready(connection: Connection, adopted: Iterable[Adopted]) -> list[Adopted]:
    """Add what is missing, and nothing twice; give those whose table is there."""
    if connection.dialect.name not in ("sqlite", "postgresql"):
        message = f"Models on {connection.dialect.name} cannot be adopted: SQLite and PostgreSQL can."
        raise NotAdoptable(message)
    there = [each for each in adopted if inspect(connection).has_table(each.table.name, each.table.schema)]
    if there and connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('bartizan adoption'))"))
    for each in there:
        prepare(connection, each)
    return there


def follow(adopted: Adopted) -> None:
    """Make a table ready as soon as the host creates it, should that be later."""

    def created(_table: Table, connection: Connection, **_: Any) -> None:
        with across_tenants():
            prepare(connection, adopted)

    event.listen(adopted.table, "after_create", created)


def prepare(connection: Connection, adopted: Adopted) -> None:
    """Make one table ready, which exists."""
    if adopted.side is not None:
        adopted.side.create(connection, checkfirst=True)
    if adopted.side is not None or adopted.loose:
        return
    quote = connection.dialect.identifier_preparer
    table, name = quote.format_table(adopted.table), adopted.owner.column
    known: dict[str, Any] = {
        column["name"]: column for column in inspect(connection).get_columns(*_place(adopted))
    }
    on_postgresql = connection.dialect.name == "postgresql"
    if name not in known:
        # Neither database writes the table anew for this.
        maybe = "IF NOT EXISTS " if on_postgresql else ""
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {maybe}{name} VARCHAR({LENGTH})")
    if on_postgresql and adopted.owner.setting not in str(known.get(name, {}).get("default")):
        connection.exec_driver_sql(
            f"ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT {default(adopted.owner)}"
        )
    for index in adopted.table.indexes:
        if [column.name for column in index.columns] == [name, *adopted.names]:
            connection.execute(CreateIndex(index, if_not_exists=True))
    if on_postgresql and adopted.policies:
        if reason := unbound_role(connection):
            message = f"{reason}, which policies do not bind: connect as another, or adopt without policies."
            raise UnsafeDatabase(message)
        for statement in wall_statements(adopted.table.name, name, adopted.owner.setting):
            connection.exec_driver_sql(statement)


def _place(adopted: Adopted) -> tuple[str, str | None]:
    return adopted.table.name, adopted.table.schema


def fill(connection: Connection, adopted: Adopted) -> int:
    """Give every row without an owner one, a batch a commit; give the number that got one.

    Interrupted, it goes on where it stopped: what has an owner is left alone.
    """
    if adopted.loose:
        return 0
    filled = 0
    after: Sequence[Any] | None = None
    while rows := _unowned(connection, adopted, after):
        after = _key_of(adopted, rows[-1])
        owners = _owners(connection, adopted, rows)
        given = [(row, owner) for row, owner in zip(rows, owners, strict=True) if owner is not None]
        for owner in {owner for _, owner in given}:
            _give(connection, adopted, [row for row, whose in given if whose == owner], owner)
        connection.commit()
        filled += len(given)
    return filled


def unowned(connection: Connection, adopted: Adopted) -> int:
    """Count the rows without an owner."""
    if adopted.loose:
        return 0
    counted = connection.scalar(select(func.count()).select_from(adopted.table).where(_nobodys(adopted)))
    return counted or 0


def refuse_unowned(connection: Connection, adopted: Adopted) -> None:
    """Refuse to start while some rows belong to nobody."""
    if count := unowned(connection, adopted):
        table, column = adopted.table.name, adopted.owner.column
        name = adopted.mappers[0].class_.__name__ if adopted.mappers else table
        message = (
            f"{count} rows of {table} are from before its adoption and belong to nobody. Say whose they are:"
            f' bz.adopt({name}, by="{adopted.owner.by}", existing="{_EXAMPLES[adopted.owner.by]}"), or give a'
            " function of the row that tells the owner's id."
        )
        if adopted.side is None:
            example = _EXAMPLES[adopted.owner.by]
            message += f" Or run: UPDATE {table} SET {column} = '{example}' WHERE {column} IS NULL;"  # noqa: S608
        raise UnownedRows(message, table=table, rows=count)


def _nobodys(adopted: Adopted) -> ColumnElement[bool]:
    return adopted.whose().is_(None)


def _unowned(connection: Connection, adopted: Adopted, after: Sequence[Any] | None) -> Sequence[Row[Any]]:
    """Read the next rows without an owner, in the order of their keys."""
    query = select(adopted.table).where(_nobodys(adopted)).order_by(*adopted.key).limit(BATCH)
    if after is not None:
        query = query.where(_beyond(adopted.key, after))
    return connection.execute(query).all()


def _beyond(key: Sequence[Column[Any]], after: Sequence[Any]) -> ColumnElement[bool]:
    """Give the condition that a key comes after another, column by column."""
    steps = [
        and_(*(key[n] == after[n] for n in range(place)), key[place] > after[place])
        for place in range(len(key))
    ]
    return or_(*steps)


def _owners(connection: Connection, adopted: Adopted, rows: Sequence[Row[Any]]) -> list[str | None]:
    """Work out whose the rows are."""
    if adopted.base is not None:  # a joined subclass: as the row above says
        base = adopted.base
        keys = [_key_of(adopted, row) for row in rows]
        found = connection.execute(select(*base.key, base.whose()).where(_within(base.key, keys)))
        owners = {tuple(row[:-1]): row[-1] for row in found}
        return [owners.get(key) for key in keys]
    rule = adopted.existing
    if isinstance(rule, str):
        return [None if rule == "refuse" else rule] * len(rows)
    return [rule(row) for row in rows]


def _give(connection: Connection, adopted: Adopted, rows: Sequence[Row[Any]], owner: str) -> None:
    keys = [_key_of(adopted, row) for row in rows]
    if adopted.side is not None:
        values = [{**dict(zip(adopted.names, key, strict=True)), adopted.owner.column: owner} for key in keys]
        connection.execute(insert(adopted.side), values)
        return
    name = adopted.owner.column
    statement = update(adopted.table).where(_within(adopted.key, keys)).values({name: bindparam("owner")})
    connection.execute(statement, {"owner": owner})


def _key_of(adopted: Adopted, row: Row[Any]) -> tuple[Any, ...]:
    values: Mapping[Any, Any] = getattr(row, _MAPPING)
    return tuple(values[column] for column in adopted.key)


def _within(key: Sequence[Column[Any]], values: Sequence[tuple[Any, ...]]) -> ColumnElement[bool]:
    if len(key) == 1:
        return key[0].in_([value[0] for value in values])
    return tuple_(*key).in_(values)
