"""A host's table with an owner: by a column of ours in it, or by a table of ours beside it."""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import (
    CTE,
    Column,
    ColumnElement,
    FromClause,
    Index,
    Join,
    MetaData,
    String,
    Subquery,
    Table,
    inspect,
    select,
    true,
)
from sqlalchemy.orm import Mapper

from bartizan.foundation.database.errors import NotAdoptable, OutsideOrganization
from bartizan.foundation.database.tenancy.proof import Kin

from .owners import Owner
from .types import Rule

_ANNOTATE = "_annotate"
LENGTH = 64
"""Characters that an owner's id may have."""


class Adopted:
    """One table and where its rows' owners are kept."""

    def __init__(
        self, table: Table, owner: Owner, existing: Rule, *, mapped: bool, beside: bool, policies: bool
    ) -> None:
        self.table = table
        self.owner = owner
        self.existing = existing
        self.policies = policies
        self.mappers: list[Mapper[Any]] = []
        self.base: Adopted | None = None
        """Of a joined subclass: the table of the class above it."""
        self.key = _key(table)
        """What tells rows apart: the primary key, or of a table without one all its foreign keys."""
        if not self.key:
            message = f"{table.name} has no primary key, so its rows cannot be told apart."
            raise NotAdoptable(message, table=table.name)
        self.loose = beside and not mapped
        """Pairs of a relationship, beside which nothing is kept: who holds one of the two holds the pair."""
        self.side = self._beside() if beside and mapped else None
        if not beside:
            self._append()

    @property
    def name(self) -> str:
        """The name as statements are searched for it."""
        return self.table.name.lower()

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns of the key are called in the database."""
        return tuple(column.name for column in self.key)

    def whose(self, mapper: Mapper[Any] | None = None) -> ColumnElement[Any]:
        """Give the expression of a row's owner; for a class, as an attribute of it would be written."""

        def of_class(column: Column[Any]) -> Any:
            said = {"parententity": mapper, "parentmapper": mapper}
            return column if mapper is None else getattr(column, _ANNOTATE)(said)

        if self.side is None:
            whose: ColumnElement[Any] = of_class(self.table.c[self.owner.column])
            return whose
        ties = [self.side.c[column.name] == of_class(column) for column in self.key]
        owner = select(self.side.c[self.owner.column]).where(*ties)
        return owner.correlate_except(self.side).scalar_subquery()

    def held(self, entity: Any, owner: Any) -> ColumnElement[bool]:
        """Give the condition that a row of a class, or of an alias of it, is the owner's."""
        whose = self.whose(inspect(entity).mapper)
        if inspect(entity).is_aliased_class:
            selectable = inspect(entity).selectable
            adapted = inspect(entity)._adapter.traverse(whose)  # noqa: SLF001 - as the alias's attributes do
            lost = adapted is whose and self.table not in sources_in([selectable])
            if lost or (self.side is not None and isinstance(selectable, Subquery | CTE)):
                return true()  # the alias of a subquery, inside which the condition stands
            whose = adapted
        held: ColumnElement[bool] = whose == owner
        return held

    def kin(self) -> list[Kin]:
        """Whose rows own these: those above a joined subclass, and in the table beside."""
        found: list[Kin] = []
        if self.base is not None:
            found.append((self.base.name, tuple(zip(self.names, self.base.names, strict=True))))
        if self.side is not None:
            found.append((self.side.name.lower(), tuple((name, name) for name in self.names)))
        return found

    def _append(self) -> None:
        table, column = self.table, self.owner.column
        if column not in table.c:
            table.append_column(Column(column, String(LENGTH), default=self.owner.stamp))
            Index(f"ix_{table.name}_{column}"[:60], table.c[column], *self.key)

    def _beside(self) -> Table:
        """Declare the table beside, in a schema of our own, so that the host's metadata stays as it is."""
        return Table(
            f"bz_{self.owner.by}_of_{self.table.name}",
            MetaData(),
            *(Column(c.name, c.type, primary_key=True, autoincrement=False) for c in self.key),
            Column(self.owner.column, String(LENGTH), nullable=False, index=True),
            schema=self.table.schema,
        )


def face(owner: Owner) -> property:
    """Give what a class shows of the column, for code that walks a table's columns and asks for each.

    It reads what is known without asking the database, and takes no other tenant's id.
    """

    def get(self: Any) -> str | None:
        found: str | None = self._sa_instance_state.info.get(owner.column)
        return found

    def put(_self: Any, value: str | None) -> None:
        if value is not None and value != owner.now():
            message = f"{owner.column} is given by whoever is signed in, and cannot be set."
            raise OutsideOrganization(message)

    return property(get, put, doc="Who owns the row.")


def asked(find: Callable[[Mapper[Any]], Adopted]) -> Any:
    """Give the method by which a class or an alias of it says who owns its rows."""

    def held(cls: Any, owner: Any) -> ColumnElement[bool]:
        return find(inspect(cls).mapper).held(cls, owner)

    return classmethod(held)


def _key(table: Table) -> tuple[Column[Any], ...]:
    return tuple(table.primary_key.columns) or tuple(c for c in table.columns if c.foreign_keys)


def sources_in(parts: Iterable[FromClause]) -> set[FromClause]:
    """Give what stands in a FROM, the parts of joins each by itself."""
    found: set[FromClause] = set()
    todo: list[Any] = list(parts)
    while todo:
        each = todo.pop()
        if isinstance(each, Join):
            todo += [each.left, each.right]
        else:
            found.add(each)
    return found
