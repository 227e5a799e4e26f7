"""Asks whose rows are, where a session does not know, and refuses references to another tenant's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, ForeignKeyConstraint, Table, inspect, select, tuple_
from sqlalchemy.orm import InstanceState, Mapper, RelationshipProperty, Session

from bartizan.foundation.database.errors import OutsideOrganization

from .owners import across_tenants
from .register import Register
from .tables import Adopted

_BY_COLUMN = "_columntoproperty"
CHUNK = 400
"""Keys in one question; SQLite takes some hundreds of parameters."""
Key = tuple[Any, ...]


class References:
    """What adopted rows refer to."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._foreign: dict[Table, list[tuple[ForeignKeyConstraint, Adopted]]] = {}
        self._seen: object = None

    def owners(
        self, session: Session, adopted: Adopted, keys: Iterable[Key], columns: Sequence[Column[Any]] = ()
    ) -> Mapping[Key, str | None]:
        """Look up whose rows are, by their primary key or other columns; what does not exist is left out."""
        chosen = list(columns or adopted.key)
        wanted = sorted({key for key in keys if None not in key}, key=repr)
        found: dict[Key, str | None] = {}
        mapper = adopted.mappers[0] if adopted.mappers else None
        with across_tenants(), session.no_autoflush:
            for start in range(0, len(wanted), CHUNK):
                part = wanted[start : start + CHUNK]
                within = (
                    chosen[0].in_([key[0] for key in part]) if len(chosen) == 1 else tuple_(*chosen).in_(part)
                )
                bind = {"mapper": mapper} if mapper is not None else {"clause": adopted.table}
                connection = session.connection(bind_arguments=bind)
                query = select(*chosen, adopted.whose()).where(within)
                found |= {tuple(row[:-1]): row[-1] for row in connection.execute(query).all()}
        return found

    def settle(self, session: Session, items: Iterable[Any]) -> None:
        """Learn whose objects are that came in across tenants, or without a load."""
        unknown: dict[Adopted, dict[Key, InstanceState[Any]]] = {}
        for item in items:
            state = inspect(item)
            if self._register.known(state) is None and state.key is not None:
                root = self._register.root(state.mapper)
                unknown.setdefault(root, {})[tuple(state.key[1])] = state
        for adopted, states in unknown.items():
            found = self.owners(session, adopted, states)
            for key, state in states.items():
                if (owner := found.get(key)) is not None:
                    state.info[self._register.owner.column] = owner

    def check(self, session: Session, items: Iterable[Any], owner: str) -> None:
        """Refuse objects that refer to another tenant's, by a relationship or a foreign key."""
        added: list[Any] = []
        rows: dict[Adopted, list[Mapping[str, Any]]] = {}
        for item in items:
            state = inspect(item)
            added += self._newly_related(state)
            for table in state.mapper.tables:
                adopted = self._register.tables.get(table)
                if adopted is not None and (changed := _changed(state, adopted.table)):
                    rows.setdefault(adopted, []).append(changed)
        self.settle(session, added)
        for item in added:
            state = inspect(item)
            if state.key is not None and self._register.known(state) != owner:
                message = f"That {type(item).__name__} belongs to another tenant."
                raise OutsideOrganization(message)
        for adopted, values in rows.items():
            self._check_keys(session, adopted, values, owner)

    def check_rows(
        self, session: Session, adopted: Adopted, rows: Iterable[Mapping[Any, Any]], owner: str
    ) -> None:
        """Refuse rows of a bulk insert that refer to another tenant's."""
        names: dict[str, str] = {column.key: column.name for column in adopted.table.columns}
        for mapper in adopted.mappers[:1]:
            for column in adopted.table.columns:
                if (prop := _property(mapper, column)) is not None:
                    names[prop.key] = column.name
        plain = [{names.get(str(key), str(key)): value for key, value in row.items()} for row in rows]
        self._check_keys(session, adopted, plain, owner)

    def holds_pair(self, session: Session, pairs: Adopted, row: Mapping[str, Any], owner: str) -> bool:
        """Tell whether one side of a pair is an object of the owner's that the session holds."""
        for constraint, parent in self._constraints(pairs):
            values = tuple(row.get(key.parent.name) for key in constraint.elements)
            for mapper in parent.mappers:
                item = session.identity_map.get(mapper.identity_key_from_primary_key(values))
                if item is not None and self._register.known(inspect(item)) == owner:
                    return True
        return False

    def _check_keys(
        self, session: Session, adopted: Adopted, rows: Sequence[Mapping[str, Any]], owner: str
    ) -> None:
        for constraint, parent in self._constraints(adopted):
            names = [key.parent.name for key in constraint.elements]
            columns = [key.column for key in constraint.elements]
            keys = {tuple(row[name] for name in names) for row in rows if all(name in row for name in names)}
            if tuple(columns) == parent.key:
                keys = {key for key in keys if not self._is_ours(session, parent, key, owner)}
            if any(found != owner for found in self.owners(session, parent, keys, columns).values()):
                message = f"A row of {adopted.table.name} refers to a {parent.table.name} of another tenant."
                raise OutsideOrganization(message)

    def _is_ours(self, session: Session, parent: Adopted, key: Key, owner: str) -> bool:
        """Tell without asking of an object that the session holds."""
        for mapper in parent.mappers[:1]:
            item = session.identity_map.get(mapper.identity_key_from_primary_key(key))
            return item is not None and self._register.known(inspect(item)) == owner
        return False

    def _constraints(self, adopted: Adopted) -> list[tuple[ForeignKeyConstraint, Adopted]]:
        """Give the foreign keys to adopted tables, but for those that make a row one with its base's."""
        if self._seen is not self._register.keys:
            self._foreign, self._seen = {}, self._register.keys
        if adopted.table not in self._foreign:
            found: list[tuple[ForeignKeyConstraint, Adopted]] = []
            for constraint in adopted.table.foreign_key_constraints:
                parent = self._register.tables.get(constraint.referred_table)
                if parent is not None and (adopted.base is None or parent is not adopted.base):
                    found.append((constraint, parent))
            self._foreign[adopted.table] = found
        return self._foreign[adopted.table]

    def _newly_related(self, state: InstanceState[Any]) -> list[Any]:
        """Give the adopted objects that a flush would tie an object to."""
        found: list[Any] = []
        mapper: Mapper[Any] = state.mapper
        for relation in mapper.relationships:
            if relation.key in state.dict or relation.key in state.committed_state:
                found += [item for item in _added(state, relation) if self._register.owns(item)]
        return found


def _added(state: InstanceState[Any], relation: RelationshipProperty[Any]) -> Iterable[Any]:
    if relation.viewonly:
        return ()
    added: Iterable[Any] = state.attrs[relation.key].history.added or ()
    return (item for item in added if item is not None)


def _changed(state: InstanceState[Any], table: Table) -> dict[str, Any]:
    """Give the foreign keys of an object that a flush would write, by the names of their columns."""
    found: dict[str, Any] = {}
    for column in table.columns:
        if column.foreign_keys and (prop := _property(state.mapper, column)) is not None:
            key = prop.key
            if key in state.dict and (state.key is None or key in state.committed_state):
                found[column.name] = state.dict[key]
    if state.key is None or not found:
        return found
    for column in table.columns:  # of a key of several columns some may have stayed
        if column.foreign_keys and column.name not in found:
            prop = _property(state.mapper, column)
            if prop is not None and prop.key in state.dict:
                found[column.name] = state.dict[prop.key]
    return found


def _property(mapper: Mapper[Any], column: Column[Any]) -> Any:
    """Give what maps a column; none where nothing does, as with ours."""
    return getattr(mapper, _BY_COLUMN).get(column)
