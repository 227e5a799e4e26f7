"""Tells the database in whose name it stamps the rows that come without an owner.

PostgreSQL is told by a setting of the transaction, which the column's DEFAULT (and the policies, where there
are any) reads. SQLite calls a function of the connection from a TEMP trigger, so that nothing stays in the
file. Both are done right before the statement that needs them, and only then: they hold for any driver and
pool, also where the table was made after the connection, and a trigger undone by a rollback comes back.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Engine, event

from bartizan.foundation.database.errors import OutsideOrganization
from bartizan.foundation.database.tenancy.scope import EVERY, is_plain

from .owners import Owner
from .tables import Adopted

_AUTOCOMMIT = "_is_autocommit_isolation"


class Stamps:
    """What each connection has been told, for one kind of owner."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._told = f"{owner.setting} told"
        self._function = f"bartizan_{owner.by}"
        for moment in ("begin", "begin_twophase", "rollback_savepoint"):
            event.listen(Engine, moment, self._forget)

    def close(self) -> None:
        """Listen no more."""
        for moment in ("begin", "begin_twophase", "rollback_savepoint"):
            event.remove(Engine, moment, self._forget)

    def tell(
        self, connection: Connection, owner: str, tables: Iterable[Adopted] = (), *, always: bool
    ) -> None:
        """Say who owns what is written next: to stamp these tables, or in any case."""
        if connection.dialect.name == "sqlite":
            self._on_sqlite(connection, owner, tables)
        elif connection.dialect.name == "postgresql":
            told = connection.info.get(self._told)
            if told != owner and (
                always or told is not None or any(each.side is None and not each.loose for each in tables)
            ):
                self._on_postgresql(connection, owner)

    def _on_postgresql(self, connection: Connection, owner: str) -> None:
        if not (owner == EVERY or is_plain(owner)):
            message = "The owner's id is not a plain name."
            raise OutsideOrganization(message)
        # Outside of a transaction a local setting is gone at once.
        local = "false" if getattr(connection, _AUTOCOMMIT)() else "true"
        _run(connection, f"SELECT set_config('{self._owner.setting}', '{owner}', {local})")
        connection.info[self._told] = owner

    def _on_sqlite(self, connection: Connection, owner: str, tables: Iterable[Adopted]) -> None:
        holder: list[str | None] = connection.info.get(self._told, [])
        needed = [each for each in tables if not each.loose]
        if not holder:
            if not needed:
                return
            holder.append(None)
            connection.info[self._told] = holder
            driver: Any = connection.connection
            driver.create_function(self._function, 0, lambda: holder[0])
        holder[0] = None if owner == EVERY else owner
        for each in needed:
            for statement in self._triggers(connection, each):
                _run(connection, statement)

    def _triggers(self, connection: Connection, each: Adopted) -> list[str]:
        quote = connection.dialect.identifier_preparer.quote_identifier
        table, column = quote(each.table.name), quote(self._owner.column)
        schema = quote(each.table.schema or "main")

        def trigger(kind: str, what: str, body: str) -> str:
            name = quote(f"bz_{self._owner.by}_{kind}_{each.table.name}")
            return f"CREATE TEMP TRIGGER IF NOT EXISTS {name} AFTER {what} BEGIN {body} END"

        def row(alias: str) -> str:
            return " AND ".join(f"{quote(name)} = {alias}.{quote(name)}" for name in each.names)

        if each.side is None:
            new = "rowid = NEW.rowid" if _has_rowid(each) else row("NEW")
            body = f"UPDATE {table} SET {column} = {self._function}() WHERE {new};"  # noqa: S608 - names, quoted
            return [trigger("new", f"INSERT ON {schema}.{table} WHEN NEW.{column} IS NULL", body)]
        side, names = quote(each.side.name), [quote(name) for name in each.names]
        gone, come = (f"DELETE FROM {side} WHERE {row(alias)};" for alias in ("OLD", "NEW"))  # noqa: S608
        values = ", ".join(f"NEW.{name}" for name in names)
        come += (
            f" INSERT INTO {side} ({', '.join(names)}, {column}) SELECT {values}, {self._function}()"
            f" WHERE {self._function}() IS NOT NULL;"
        )
        return [
            trigger("new", f"INSERT ON {schema}.{table}", come),
            trigger("gone", f"DELETE ON {schema}.{table}", gone),
        ]

    def _forget(self, connection: Connection, *_: object) -> None:
        """A new transaction, or the return to a savepoint: PostgreSQL has forgotten what it was told."""
        if connection.dialect.name == "postgresql":
            connection.info.pop(self._told, None)


def default(owner: Owner) -> str:
    """Give PostgreSQL's expression for the owner of a row that names none."""
    return f"nullif(nullif(current_setting('{owner.setting}', true), ''), '{EVERY}')"


def _run(connection: Connection, statement: str) -> None:
    """Send a statement that no listener is to see."""
    cursor: Any = connection.connection.cursor()
    try:
        cursor.execute(statement)
    finally:
        cursor.close()


def _has_rowid(each: Adopted) -> bool:
    return bool(each.table.dialect_options["sqlite"].get("with_rowid", True))
