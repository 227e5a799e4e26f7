"""Stands in front of every engine of the process: no SQL reaches an adopted table unproven."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from sqlalchemy import Connection, Engine, Insert, event
from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext

from bartizan.foundation.database.errors import OutsideOrganization
from bartizan.foundation.database.tenancy.guard import Guard
from bartizan.foundation.database.tenancy.scope import EVERY

from .register import Register
from .stamps import Stamps

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

    from bartizan.foundation.database.tenancy.proof import Proof

_UNSAID = object()
# What describes tables; no row comes out of it.
_PRAGMA = re.compile(
    r"\s*PRAGMA\s+(\w+\.)?(table_x?info|table_list|index_list|index_x?info|foreign_key_list)\s*\([^;]*\)\s*;?\s*$",
    re.IGNORECASE,
)
_STRUCTURE = re.compile(
    r"\s*(CREATE\s+(UNIQUE\s+)?(TABLE|INDEX)|ALTER\s+TABLE|DROP\s+(TABLE|INDEX)|COMMENT\s+ON|ANALYZE|VACUUM)\b"
    r"(?!.*\b(SELECT|TRIGGER)\b)[^;]*;?\s*$",
    re.IGNORECASE | re.DOTALL,
)


class HostGuard(Guard):
    """The guard of the platform's own tables, taught what hosts do."""

    def __init__(self, register: Register, stamps: Stamps, **rest: Any) -> None:
        self._register = register
        self._stamps = stamps
        self.elsewhere: WeakSet[Dialect] = WeakSet()
        """Of engines whose tables have the same names and are others."""
        owner = register.owner
        super().__init__(
            owner.column,
            lambda: register.keys,
            owner.now,
            owner.nobody,
            kin=lambda: register.kin,
            stamped=lambda: register.stamped,
            **rest,
        )

    def check(  # noqa: PLR0917 - SQLAlchemy's signature
        self,
        connection: Connection,
        cursor: DBAPICursor,
        statement: str,
        parameters: Any,
        context: ExecutionContext | None,
        many: bool,  # noqa: FBT001 - SQLAlchemy's signature
    ) -> "Proof | None":
        """Refuse what is not held to one owner, and tell the database who it is where it needs to know."""
        if connection.dialect in self.elsewhere:
            return None
        owner = self._register.owner.now()
        if owner == EVERY:
            self._refuse_unowned(context)
            self._stamps.tell(connection, EVERY, always=self._register.policies)
            return None
        proof = super().check(connection, cursor, statement, parameters, context, many)
        if proof is not None and owner is not None:
            named = [self._register.by_name[name] for name in proof.stamped]
            if connection.dialect.name != "sqlite" and self.flushing.get() is None:
                self._refuse_beside(named)
            self._stamps.tell(connection, owner, named, always=self._register.policies)
        return proof

    def install_everywhere(self) -> None:
        """Stand in front of every engine, those made later included."""
        self.install(Engine)

    def remove(self) -> None:
        """Step aside."""
        if event.contains(Engine, "before_cursor_execute", self.check):
            event.remove(Engine, "before_cursor_execute", self.check)

    def _refuse_unowned(self, context: ExecutionContext | None) -> None:
        """Refuse new rows that say nothing of their owner, in a block that has no tenant either."""
        statement: Any = getattr(getattr(context, "compiled", None), "statement", None)
        adopted = self._register.tables.get(getattr(statement, "table", None))
        if adopted is None or not isinstance(statement, Insert) or adopted.side is not None:
            return
        rows: Iterable[Mapping[str, Any]] = getattr(context, "compiled_parameters", ())
        name = self._register.owner.column
        if any(row.get(name, _UNSAID) is None for row in rows):
            raise self._register.owner.unowned()

    def _refuse_beside(self, tables: Iterable[Any]) -> None:
        for each in tables:
            if each.side is not None:
                message = (
                    f"Rows of {each.table.name} are owned by a side table, so they come and go through the"
                    " objects of a session only: this statement would leave rows without an owner."
                )
                raise OutsideOrganization(message)

    def _harmless(self, sql: str, context: ExecutionContext | None) -> bool:
        if _PRAGMA.match(sql):
            return True
        compiled = getattr(context, "isddl", False)
        asked_by_nobody = self._register.owner.now() is None
        return bool((compiled or asked_by_nobody) and _STRUCTURE.match(sql))

    def _words(self, tables: Iterable[str]) -> str:
        names = sorted(tables)
        column = self._register.owner.column
        return (
            f"Not held to one tenant: {', '.join(names)}. Ask through the ORM, or add"
            f" `{names[0]}.{column} = :owner` to the statement; a job of yours that is for all tenants says"
            " `with bz.across_tenants():`."
        )
