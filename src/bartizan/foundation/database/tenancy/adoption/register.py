"""Which tables and classes are adopted, for one kind of owner."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Join, Table, column, delete, event, insert, inspect
from sqlalchemy.orm import InstanceState, Mapper

from bartizan.foundation.database.errors import NotAdoptable
from bartizan.foundation.database.tenancy.criteria import by_method
from bartizan.foundation.database.tenancy.proof import Kin

from .owners import Owner, across_tenants
from .tables import Adopted, asked, face
from .types import Rule

METHOD = "_bz_held_to"
_RESET = "_reset_column_collection"
_EXPIRE = "_expire_memoizations"
# Known as any type at all, for checkers that would make more of their parameters than there is.
_JOIN: Any = Join
_MAPPER: Any = Mapper
_TABLE: Any = Table


class Register:
    """What is adopted so far. It only grows."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.tables: dict[Any, Adopted] = {}
        self.classes: list[type] = []
        """The topmost class of each hierarchy."""
        self._mine: dict[type, bool] = {}
        self.keys: Mapping[str, tuple[str, ...]] = {}
        self.kin: Mapping[str, tuple[Kin, ...]] = {}
        self.stamped: frozenset[str] = frozenset()
        self.by_name: dict[str, Adopted] = {}
        self.option: Callable[[str], Any]
        self._settle()

    def owns(self, item: object) -> bool:
        """Tell whether an object is of an adopted class."""
        return self.adopts(type(item))

    def adopts(self, kind: type) -> bool:
        """Tell whether a class is adopted, or one above it."""
        known = self._mine.get(kind)
        if known is None:
            known = self._mine[kind] = any(issubclass(kind, base) for base in self.classes)
        return known

    def of(self, mapper: Mapper[Any]) -> Adopted:
        """Give the table whose owner a class's rows have: its own, or the one it shares."""
        for above in mapper.iterate_to_root():
            found = self.tables.get(above.local_table)
            if found is not None:
                return found
        message = f"{mapper.class_.__name__} was mapped after its base class was adopted: adopt it before."
        raise NotAdoptable(message)

    def root(self, mapper: Mapper[Any]) -> Adopted:
        """Give the table whose key is the identity of a class's objects."""
        while mapper.inherits is not None and not mapper.concrete:
            mapper = mapper.inherits
        return self.of(mapper)

    @property
    def policies(self) -> bool:
        """Whether PostgreSQL has to be told about reading too."""
        return any(each.policies for each in self.tables.values())

    def add(self, model: Any, existing: Rule, *, beside: bool, policies: bool) -> list[Adopted]:
        """Adopt a class with its subclasses, or a table that no class is mapped to; give what is new."""
        if isinstance(model, _TABLE):
            return self._add(model, existing, mapped=False, beside=beside, policies=policies)
        mapper: Any = inspect(model, raiseerr=False)
        if not isinstance(mapper, _MAPPER):
            message = f"{model!r} is neither a mapped class nor a table."
            raise NotAdoptable(message)
        if mapper.inherits is not None and not mapper.concrete:
            message = f"{model.__name__} inherits from {mapper.inherits.class_.__name__}: adopt that one."
            raise NotAdoptable(message)
        found = self._add_tables(mapper, existing, beside=beside, policies=policies)
        self._listen(model, beside=beside)
        self._settle()
        return found

    def _add_tables(
        self, mapper: Mapper[Any], existing: Rule, *, beside: bool, policies: bool
    ) -> list[Adopted]:
        """Adopt the tables of a class and its subclasses."""
        found: list[Adopted] = []
        for each in mapper.self_and_descendants:
            table: Any = each.local_table
            if not isinstance(table, _TABLE):
                message = f"{each.class_.__name__} is not mapped to a table but to {table!s:.80}."
                raise NotAdoptable(message)
            found += self._add(table, existing, mapped=True, beside=beside, policies=policies)
            if each not in self.tables[table].mappers:
                self.tables[table].mappers.append(each)
            above: Any = (
                each.inherits.local_table if each.inherits is not None and not each.concrete else table
            )
            if above is not table and isinstance(above, _TABLE):
                self.tables[table].base = self.tables[above]
        for each in mapper.self_and_descendants:
            _look_again(each)
        return found

    def _listen(self, model: type, *, beside: bool) -> None:
        """Hear of the objects of a class, and give it the two things that we add to one."""
        if model not in self.classes:
            self.classes.append(model)
            type.__setattr__(model, METHOD, asked(self.of))
            type.__setattr__(model, self.owner.column, face(self.owner))
            event.listen(model, "load", self._mark, propagate=True)
            if beside:
                event.listen(model, "after_insert", self._came, propagate=True)
                event.listen(model, "after_delete", self._went, propagate=True)
            event.listen(model, "after_mapper_constructed", self._late, propagate=True)

    def _add(
        self, table: Table, existing: Rule, *, mapped: bool, beside: bool, policies: bool
    ) -> list[Adopted]:
        if table in self.tables:
            return []
        other = {"bz_org_id", "bz_team_id"} - {self.owner.column}
        if other & set(table.c.keys()):
            message = f"{table.name} is adopted by another kind of owner already."
            raise NotAdoptable(message)
        made = Adopted(table, self.owner, existing, mapped=mapped, beside=beside, policies=policies)
        if made.name in self.by_name:
            message = f"Two tables are called {table.name}."
            raise NotAdoptable(message)
        self.tables[table] = made
        self._settle()
        return [made]

    def _mark(self, target: Any, context: Any) -> None:
        """Remember of a loaded object in whose name it was asked for."""
        # A merge fires it for a copy of something loaded before, and asks nobody.
        owner = None if context is None else context.execution_options.get(self.owner.column)
        if owner is not None:
            target._sa_instance_state.info[self.owner.column] = owner  # noqa: SLF001 - by the quickest way

    def _came(self, mapper: Mapper[Any], connection: Connection, target: Any) -> None:
        """Write down beside the table whose a new object is; on SQLite the database has done it."""
        if connection.dialect.name == "sqlite":
            return
        owner = self.owner.stamp()
        if owner is None:
            raise self.owner.unowned()
        for each, key in self._beside(mapper, target):
            with across_tenants():  # a row that a program without us deleted may have left its owner behind
                connection.execute(
                    delete(each).where(*(each.c[name] == value for name, value in key.items()))
                )
                connection.execute(insert(each), {**key, self.owner.column: owner})

    def _went(self, mapper: Mapper[Any], connection: Connection, target: Any) -> None:
        if connection.dialect.name == "sqlite":
            return
        for each, key in self._beside(mapper, target):
            with across_tenants():
                connection.execute(
                    delete(each).where(*(each.c[name] == value for name, value in key.items()))
                )

    def _beside(self, mapper: Mapper[Any], target: Any) -> Iterator[tuple[Table, dict[str, Any]]]:
        values = mapper.primary_key_from_instance(target)
        for table in mapper.tables:
            adopted = self.tables.get(table)
            if adopted is not None and adopted.side is not None:
                yield adopted.side, dict(zip(adopted.names, values, strict=True))

    def _late(self, mapper: Mapper[Any], class_: type) -> None:
        self._mine.clear()
        if mapper.concrete or mapper.local_table not in self.tables:
            base = mapper.inherits.class_.__name__ if mapper.inherits is not None else "its base"
            message = f"Map {class_.__name__} before {base} is adopted: its table has no owner yet."
            raise NotAdoptable(message)

    def _settle(self) -> None:
        """Work out what the guard and the ORM are told."""
        self._mine.clear()
        adopted = list(self.tables.values())
        self.by_name = {each.name: each for each in adopted}
        self.keys = {each.name: each.names for each in adopted} | {
            each.side.name.lower(): each.names for each in adopted if each.side is not None
        }
        kin: dict[str, list[Kin]] = {}
        for each in adopted:
            kin.setdefault(each.name, []).extend(each.kin())
            if each.base is not None:  # held together, from either side
                pairs = tuple(zip(each.base.names, each.names, strict=True))
                kin.setdefault(each.base.name, []).append((each.name, pairs))
            if not each.mappers:
                kin[each.name] += self._parents(each)
        self.kin = {name: tuple(found) for name, found in kin.items() if found}
        self.stamped = frozenset(each.name for each in adopted)

        # A class of its own each time, so that statements compiled before are compiled anew.
        def held(_: type, owner: Any) -> Any:
            return column(self.owner.column) == owner

        members: dict[str, Any] = {METHOD: classmethod(held)}
        base = _Everyone(f"Adopted{len(self.tables)}By{self.owner.by}", (), members)
        base.members = self.classes
        self.option = by_method(base, METHOD)

    def _parents(self, each: Adopted) -> list[Kin]:
        """Give what the pairs of a relationship refer to: who holds one of the two holds the pair."""
        found: list[Kin] = []
        for constraint in each.table.foreign_key_constraints:
            for table, parent in self.tables.items():
                if table.name == constraint.referred_table.name and table is constraint.referred_table:
                    pairs = tuple((key.parent.name, key.column.name) for key in constraint.elements)
                    found.append((parent.name, pairs))
        return found

    def known(self, state: InstanceState[Any]) -> str | None:
        """Tell whose an object is, as far as is known without asking."""
        owner: str | None = state.info.get(self.owner.column)
        return owner


class _Everyone(type):
    """A class that passes for the base of all adopted ones."""

    members: list[type]

    def __subclasses__(cls) -> list[type]:
        return cls.members


def _look_again(mapper: Mapper[Any]) -> None:
    """Let a joined subclass see the columns that its tables have got since it was mapped."""
    joined: Any = mapper.persist_selectable
    while isinstance(joined, _JOIN):
        getattr(joined, _RESET)()  # as a table does that gets a column
        joined = joined.left
    getattr(mapper, _EXPIRE)()
