"""What every session of the process does for adopted classes."""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

from sqlalchemy import (
    BooleanClauseList,
    ColumnElement,
    Exists,
    Select,
    UnaryExpression,
    and_,
    event,
    inspect,
    or_,
)
from sqlalchemy.engine import Result
from sqlalchemy.orm import FromStatement, Mapper, ORMExecuteState, Session
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.sql.operators import and_ as and_operator
from sqlalchemy.sql.operators import inv
from sqlalchemy.sql.util import ClauseAdapter

from bartizan.foundation.database.errors import OutsideOrganization
from bartizan.foundation.database.tenancy.guard import Guard
from bartizan.foundation.database.tenancy.scope import EVERY
from bartizan.foundation.database.tenancy.wall import WalledSession

from .references import References
from .register import Register
from .tables import sources_in

_LOOKUP = "_identity_lookup"
_OPTIONS = "_with_options"
_UPSERT = "_post_values_clause"
_WHERE = "_where_criteria"
# Known as any type at all, for checkers that would make more of their parameters than there is.
_GROUPING: Any = Grouping
_SELECT: Any = Select
_UNARY: Any = UnaryExpression
_WRAPPED: Any = FromStatement


class HostWall:
    """Holds sessions to the owner in whose name code runs."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._owner = register.owner
        self._references = References(register)
        self._trusted = f"{self._owner.column} trusted"
        self._undo: Callable[[], None] | None = None

    def install(self) -> None:
        """Listen to every session there is."""
        hooks: dict[str, Callable[..., Any]] = {
            "do_orm_execute": self._scope,
            "before_flush": self._before_flush,
            "after_flush": self._after_flush,
            "after_soft_rollback": self._after_rollback,
        }
        for name, hook in hooks.items():
            event.listen(Session, name, hook)
        # An object that the session holds is found without SQL, and no event tells of it. This is the hook
        # that SQLAlchemy's own sharding overrides.
        lookup: Callable[..., Any] = getattr(Session, _LOOKUP)

        def checked(session: Session, mapper: Mapper[Any], *args: Any, **kwargs: Any) -> Any:
            return self._found(lookup(session, mapper, *args, **kwargs))

        setattr(Session, _LOOKUP, checked)

        def undo() -> None:
            for name, hook in hooks.items():
                event.remove(Session, name, hook)
            setattr(Session, _LOOKUP, lookup)

        self._undo = undo

    def remove(self) -> None:
        """Listen no more."""
        if self._undo is not None:
            self._undo()
            self._undo = None

    def _scope(self, state: ORMExecuteState) -> Result[Any] | None:
        """Add the owner to a statement."""
        owner = self._owner.now()
        # Without an owner the guard refuses what names an adopted table.
        if owner is None or owner == EVERY or isinstance(state.session, WalledSession):
            return None
        if state.is_column_load:
            self._scope_columns(state, owner)
            return None
        if state.is_insert:
            self._scope_insert(state, owner)
        elif state.is_select or state.is_update or state.is_delete:
            if not state.is_orm_statement:
                return None
            option = self._register.option(owner)
            if not any(each is option for each in getattr(state.statement, _OPTIONS)):
                statement: Any = state.statement.options(option)
                asked = tuple(getattr(statement, _WHERE, ()))
                scoped = tuple(self._scope_exists(each, owner) for each in asked)
                if any(one is not other for one, other in zip(asked, scoped, strict=True)):
                    setattr(statement, _WHERE, scoped)
                state.statement = statement
            mapper = state.bind_mapper
            if state.is_update and isinstance(state.parameters, list) and mapper is not None:
                return self._update_many(state, mapper, owner)
        state.update_execution_options(**{self._owner.column: owner})
        return None

    def _scope_exists(self, clause: Any, owner: str) -> Any:
        """Hold what EXISTS looks at, where SQLAlchemy adds no criteria: ``exists()``, and 2.0's ``any()``."""
        if isinstance(clause, BooleanClauseList):
            parts = [self._scope_exists(each, owner) for each in clause.clauses]
            if all(one is other for one, other in zip(parts, clause.clauses, strict=True)):
                return clause
            return and_(*parts) if clause.operator is and_operator else or_(*parts)
        if isinstance(clause, _GROUPING):
            inner = self._scope_exists(clause.element, owner)
            return clause if inner is clause.element else inner.self_group()
        if isinstance(clause, _UNARY) and clause.operator is inv:
            inner = self._scope_exists(clause.element, owner)
            return clause if inner is clause.element else ~inner
        if not isinstance(clause, Exists):
            return clause
        asked: Any = getattr(clause.element, "element", None)
        held = [] if asked is None else self._held(asked, owner)
        return clause.where(*held) if held else clause

    def _held(self, asked: Any, owner: str) -> list[ColumnElement[bool]]:
        """Give the conditions that hold what a SELECT reads from to the owner."""
        found: list[ColumnElement[bool]] = []
        for source in sources_in(asked.get_final_froms()):
            table: Any = getattr(source, "element", source)
            adopted = self._register.tables.get(table)
            if adopted is not None and not adopted.loose:
                whose = adopted.whose()
                if source is not table:
                    whose = ClauseAdapter(source).traverse(whose)
                found.append(whose == owner)
        return found

    def _scope_columns(self, state: ORMExecuteState, owner: str) -> None:
        """Scope the refresh of one object, which knows no options."""
        statement: Any = state.statement
        wrapped = isinstance(statement, _WRAPPED)
        inner: Any = statement.element if wrapped else statement
        held = self._held(inner, owner)
        if not held:
            return
        if wrapped:
            scoped: Any = copy(statement)
            scoped.element = inner.where(*held)
            state.statement = scoped
        else:
            state.statement = inner.where(*held)

    def _scope_insert(self, state: ORMExecuteState, owner: str) -> None:
        """Scope what feeds new rows, check what they refer to, and let an upsert change own rows alone."""
        scoped: Any = copy(state.statement)
        fed: Any = getattr(scoped, "select", None)
        if isinstance(fed, _SELECT):
            scoped.select = fed.where(*self._held(fed, owner))
            state.statement = scoped
        adopted = self._register.tables.get(scoped.table)
        if adopted is None:
            return
        given: Any = state.parameters or []
        rows: list[Any] = [given] if hasattr(given, "items") else given
        self._references.check_rows(state.session, adopted, rows, owner)
        upsert: Any = getattr(scoped, _UPSERT, None)
        if adopted.side is None and not adopted.loose and hasattr(upsert, "update_whereclause"):
            narrowed = copy(upsert)
            held, before = adopted.whose() == owner, upsert.update_whereclause
            narrowed.update_whereclause = held if before is None else and_(before, held)
            setattr(scoped, _UPSERT, narrowed)
            state.statement = scoped

    def _update_many(self, state: ORMExecuteState, mapper: Mapper[Any], owner: str) -> Result[Any] | None:
        """Let a bulk UPDATE by primary key pass once all its rows are known to be the owner's."""
        if not self._register.adopts(mapper.class_):
            return None
        rows: Any = state.parameters
        keys = [
            tuple(row.get(mapper.get_property_by_column(column).key) for column in mapper.primary_key)
            for row in rows
        ]
        owners = self._references.owners(state.session, self._register.root(mapper), keys)
        if any(owners.get(key, owner) != owner for key in keys):
            message = f"Among these {mapper.class_.__name__} are some of another tenant."
            raise OutsideOrganization(message)
        state.session.info[self._trusted] = {key for key in keys if key in owners}
        token = Guard.flushing.set(state.session)
        try:
            return state.invoke_statement()
        finally:
            Guard.flushing.reset(token)
            state.session.info.pop(self._trusted, None)

    def _before_flush(self, session: Session, _context: object, _instances: object) -> None:
        """Check what is about to be written: whose it is, and what it refers to."""
        owner = self._owner.now()
        if owner == EVERY or isinstance(session, WalledSession):
            return
        new = [item for item in session.new if self._register.owns(item)]
        held = [
            item for part in (session.dirty, session.deleted) for item in part if self._register.owns(item)
        ]
        if new or held:
            if owner is None:
                raise self._owner.nobody()
            self._references.settle(session, held)
            for item in held:
                if self._register.known(inspect(item)) != owner:
                    message = f"This {type(item).__name__} belongs to another tenant."
                    raise OutsideOrganization(message)
            self._references.check(session, [*new, *held], owner)
        Guard.flushing.set(session)

    def _after_flush(self, session: Session, _context: object) -> None:
        Guard.flushing.set(None)
        owner = self._owner.now()
        if owner is None or owner == EVERY:
            return
        for item in session.new:
            if self._register.owns(item):
                inspect(item).info[self._owner.column] = owner

    def _after_rollback(self, _session: Session, _previous: object) -> None:
        Guard.flushing.set(None)

    def _found(self, item: Any) -> Any:
        """Check an object that the session held already; a foreign one counts as not found."""
        owner = self._owner.now()
        if owner == EVERY or not self._register.owns(item):
            return item
        return item if self._register.known(inspect(item)) == owner else None

    def owns(self, session: Session, table: str, key: Mapping[str, Any], owner: str) -> bool:
        """Tell whether a row that is written by its key is the owner's, as this session knows."""
        adopted = self._register.by_name.get(table)
        if adopted is None:
            return False
        values = tuple(key[name] for name in adopted.names)
        if values in session.info.get(self._trusted, ()):
            return True
        if not adopted.mappers:
            return self._references.holds_pair(session, adopted, key, owner)
        for mapper in adopted.mappers:
            item = session.identity_map.get(mapper.identity_key_from_primary_key(values))
            if item is not None:
                return self._register.known(inspect(item)) == owner
        return any(
            self._register.owns(item)
            and tuple(inspect(item).mapper.primary_key_from_instance(item)) == values
            for item in session.new
        )
