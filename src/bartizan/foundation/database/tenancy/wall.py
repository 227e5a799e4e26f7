"""Wall 1: the ORM adds the organization to every query, and nothing leaves that lacks it.

Ours stands around :class:`OrgTable`. A host application puts one around its own models::

    wall = TenantWall(Owned, column="tenant_id")
    wall.install(SessionClass, engine)

How it works, and what each part is for:

=====================  =======================================================================
``do_orm_execute``     adds the criterion to selects, updates, deletes and relationship loads,
                       and to refreshes of single objects
``_identity_lookup``   an object that is in the session already is found without SQL
``load``, ``refresh``  a row that came from somewhere else all the same
``before_flush``       stamps new objects, refuses foreign ones
:class:`.Guard`        everything else: text, Core, bulk statements, other connections
=====================  =======================================================================
"""

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from sqlalchemy import Engine, MetaData, Select, Table, event, inspect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import InstanceState, Mapper, ORMExecuteState, Session

from bartizan.foundation.context import NobodyAsks, NoOrganization, current
from bartizan.foundation.database.errors import OutsideOrganization

from .criteria import by_column
from .guard import PROOF, Guard
from .scope import EVERY, lift, lower, scope

_LOOKUP = "_identity_lookup"
_OPTIONS = "_with_options"


class WalledSession(Session):
    """What every session of ours is underneath: it keeps to the current organization."""


class TenantWall:
    """Keeps the rows of organizations apart for all mapped classes below ``base``."""

    def __init__(
        self,
        base: type,
        *,
        column: str = "org_id",
        org: Callable[[], str | None] = scope,
        tables: Iterable[Table] = (),
    ) -> None:
        """Build the wall.

        ``org`` tells the organization in whose name code runs: its id, ``"*"`` for all, or none, and
        then every query is refused. ``tables`` are walled too, though no class is mapped to them:
        secondary tables, which need the column as well.
        """
        self._base = base
        self._column = column
        self._org = org
        self._extra = tuple(tables)
        self._mappers: dict[str, list[Mapper[Any]]] = {}
        self._tables: Mapping[str, tuple[str, ...]] | None = None
        self._guard = Guard(column, self._walled, org, _nobody, self._owns)
        self._criterion = by_column(base, column)
        event.listen(base, "after_mapper_constructed", self._grow, propagate=True)
        event.listen(base, "load", self._came_in, propagate=True)
        event.listen(base, "refresh", self._came_in, propagate=True)

    def install(self, session: type[Session], *engines: Engine | AsyncEngine) -> None:
        """Put the wall around a class of sessions, and the engines that it uses."""
        event.listen(session, "do_orm_execute", self._scope)
        event.listen(session, "before_flush", self._before_flush)
        event.listen(session, "after_flush", self._after_flush)
        event.listen(session, "after_soft_rollback", self._after_flush)
        # The hook that SQLAlchemy's own sharding overrides.
        lookup: Callable[..., Any] = getattr(session, _LOOKUP)

        def checked(self_: Session, mapper: Mapper[Any], *args: Any, **kwargs: Any) -> Any:
            return self._found(lookup(self_, mapper, *args, **kwargs))

        setattr(session, _LOOKUP, checked)
        self.guard(*engines)

    def guard(self, *engines: Engine | AsyncEngine) -> None:
        """Stand in front of further engines."""
        for engine in engines:
            self._guard.install(engine.sync_engine if isinstance(engine, AsyncEngine) else engine)

    def warm(self) -> None:
        """Load the prover now, which takes a moment, rather than at the first query."""
        importlib.import_module(PROOF)

    def tables(self, metadata: MetaData) -> list[Table]:
        """List the walled tables of a schema."""
        walled = self._walled()
        return [table for table in metadata.sorted_tables if table.name.lower() in walled]

    def pass_on(self, session: Session) -> None:
        """Let through what a session has changed so far, at the end of a block across organizations."""
        changed = [o for part in (session.new, session.dirty, session.deleted) for o in part]
        if walled := {inspect(o) for o in changed if isinstance(o, self._base)}:
            session.info.setdefault(self, set()).update(walled)

    def _grow(self, *_: object) -> None:
        """Forget which tables there are: a class was mapped."""
        self._tables = None

    def _walled(self) -> Mapping[str, tuple[str, ...]]:
        """Give the walled tables in lower case, and their primary keys."""
        if self._tables is None:
            mappers: dict[str, list[Mapper[Any]]] = {}
            tables = {table.name.lower(): _key(table) for table in self._extra}
            for mapped in _below(self._base):
                mapper: Mapper[Any] | None = inspect(mapped, raiseerr=False)
                for table in _tables_of(mapper):
                    if mapper is not None and self._column in table.c:
                        tables[table.name.lower()] = _key(table)
                        mappers.setdefault(table.name.lower(), []).append(mapper)
                        beside = table.metadata.tables.values()
                        tables.update((t.name.lower(), _key(t)) for t in beside if t.info.get("walled"))
            self._mappers, self._tables = mappers, tables
        return self._tables

    def _scope(self, state: ORMExecuteState) -> None:
        """Add the organization to a statement of the ORM."""
        org_id = self._org()
        if org_id is None or org_id == EVERY or not state.is_orm_statement:
            return  # without an organization the guard refuses what names a walled table
        if state.is_column_load:
            mapper = state.bind_mapper
            if mapper is not None and issubclass(mapper.class_, self._base):
                held = getattr(mapper.class_, self._column) == org_id
                state.statement = cast("Select[Any]", state.statement).where(held)
        elif state.is_select or state.is_update or state.is_delete:
            criterion = self._criterion(org_id)
            if not any(option is criterion for option in getattr(state.statement, _OPTIONS)):
                state.statement = state.statement.options(criterion)

    def _before_flush(self, session: Session, _context: object, _instances: object) -> None:
        """Stamp and check what is about to be written."""
        org_id = self._org()
        passed: set[InstanceState[Any]] = session.info.pop(self, set())
        foreign = False
        for new, objects in ((True, session.new), (False, session.dirty), (False, session.deleted)):
            for item in objects:
                if isinstance(item, self._base) and org_id != EVERY:
                    if inspect(item) in passed:
                        foreign = True
                    elif org_id is None:
                        raise _nobody()
                    else:
                        self._check(item, org_id, new=new)
        Guard.flushing.set(session)
        if foreign:
            session.info["bartizan_lifted"] = lift()

    def _after_flush(self, session: Session, *_: object) -> None:
        Guard.flushing.set(None)
        if session.info.pop("bartizan_lifted", False):
            lower()

    def _check(self, item: Any, org_id: str, *, new: bool) -> None:
        state: InstanceState[Any] = inspect(item)
        value = state.dict.get(self._column)
        if value == org_id and (new or self._column not in state.committed_state):
            return
        if new and value is None:
            setattr(item, self._column, org_id)
        history = state.attrs[self._column].history
        if {*history.deleted, getattr(item, self._column)} - {org_id}:
            message = f"This {type(item).__name__} belongs to another organization."
            raise OutsideOrganization(message)

    def _came_in(self, target: Any, *_: object) -> None:
        """Check a row that was loaded."""
        org_id = self._org()
        if org_id != EVERY and target.__dict__.get(self._column, org_id) != org_id:
            message = f"A {type(target).__name__} of another organization was loaded."
            raise OutsideOrganization(message)

    def _found(self, item: Any) -> Any:
        """Check an object that the session held already; a foreign one counts as not found."""
        org_id = self._org()
        if isinstance(item, self._base) and org_id != EVERY and item.__dict__.get(self._column) != org_id:
            return None
        return item

    def _owns(self, session: Session, table: str, key: Mapping[str, Any], org_id: str) -> bool:
        """Tell whether a row that a flush writes by its key is an object of ours in that session."""
        values = tuple(key.values())
        for mapper in self._mappers.get(table, ()):
            held = session.identity_map.get(mapper.identity_key_from_primary_key(values))
            if held is not None and held.__dict__.get(self._column) == org_id:
                return True
        return any(
            isinstance(item, self._base)
            and table in {t.name.lower() for t in inspect(item).mapper.tables if isinstance(t, Table)}
            and tuple(inspect(item).mapper.primary_key_from_instance(item)) == values
            for item in session.new
        )


def _tables_of(mapper: Mapper[Any] | None) -> list[Table]:
    return [t for t in mapper.tables if isinstance(t, Table)] if mapper is not None else []  # pyright: ignore[reportUnnecessaryIsInstance]


def _key(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key.columns)


def _below(base: type) -> Iterator[type]:
    yield base
    children: list[type] = base.__subclasses__()
    for child in children:
        yield from _below(child)


def _nobody() -> Exception:
    """Say why there is no organization."""
    return NobodyAsks() if current.anyone is None else NoOrganization()
