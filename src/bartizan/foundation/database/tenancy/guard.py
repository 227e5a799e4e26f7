"""Stands in front of the driver: no SQL goes out that could touch a foreign row."""

import importlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler

from bartizan.foundation.database.errors import OutsideOrganization

from .scope import EVERY

if TYPE_CHECKING:  # loaded at the first statement that names a walled table
    from .proof import Kin, Proof
    from .trees import Source

PROOF = "bartizan.foundation.database.tenancy.proof"
"""The module that proves; loaded when it is needed."""
_PROOFS = 4096
_DIALECTS = {"sqlite": "sqlite", "postgresql": "postgres"}
# What is skipped whole (strings, quoted names, comments), then each style of parameter.
_SKIP = (
    r"""[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/"""
    r"""|\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$"""
)
_LATE = r"__\[POSTCOMPILE_(?P<late>\w+)(?:~~.*?~~)?\]"
_STYLES = {
    "qmark": r"\?",
    "format": r"%s",
    "pyformat": r"%\((?P<name>[^)]+)\)s",
    "named": r"(?<![:\w]):(?P<name>[A-Za-z_]\w*)",
    "numeric": r"(?<![:\w]):(?P<number>\d+)",
    "numeric_dollar": r"\$(?P<number>\d+)",
}
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


class Guard:
    """Proves each statement once (see :mod:`.proof`), and compares its values each time."""

    flushing: ContextVar[Session | None] = ContextVar("bartizan_flushing", default=None)
    """The session whose unit of work writes at present; its objects were checked."""

    def __init__(
        self,
        column: str,
        tables: Callable[[], Mapping[str, tuple[str, ...]]],
        scope: Callable[[], str | None],
        refuse: Callable[[], Exception],
        owns: Callable[[Session, str, Mapping[str, Any], str], bool],
        *,
        kin: Callable[[], Mapping[str, tuple["Kin", ...]]] = dict[str, tuple["Kin", ...]],
        stamped: Callable[[], Collection[str]] = tuple[str, ...],
    ) -> None:
        self._column = column
        self._tables = tables
        self._scope = scope
        self._refuse = refuse
        self._owns = owns
        self._kin = kin
        self._stamped = stamped
        self._proofs: dict[tuple[str, str], tuple[Proof, tuple[Any, ...]] | None] = {}
        self._known: Mapping[str, tuple[str, ...]] = {}

    def install(self, engine: Engine | type[Engine]) -> None:
        """Stand in front of an engine, or of every one there is."""
        event.listen(engine, "before_cursor_execute", self.check)

    def check(
        self,
        connection: Connection,
        _cursor: DBAPICursor,
        statement: str,
        parameters: Any,
        context: ExecutionContext | None,
        many: bool,  # noqa: FBT001 - SQLAlchemy's signature
    ) -> "Proof | None":
        """Refuse a statement that is not held to one organization; give the proof of one that has to be."""
        org_id = self._scope()
        if org_id == EVERY:
            return None
        if (tables := self._tables()) is not self._known:
            self._known = tables
            self._proofs.clear()
        compiled = getattr(context, "compiled", None)
        if not isinstance(compiled, SQLCompiler):
            compiled = None
        sql = statement if compiled is None else compiled.string
        key = (sql, connection.dialect.name)
        try:
            entry = self._proofs[key]
        except KeyError:
            entry = self._learn(sql, connection, compiled)
            if len(self._proofs) >= _PROOFS:
                self._proofs.pop(next(iter(self._proofs)))
            self._proofs[key] = entry
        if entry is None or (entry[0].refused and self._harmless(sql, context)):
            return None
        if org_id is None:
            raise self._refuse()
        proof, keys = entry
        if compiled is not None:
            rows: Sequence[Any] = getattr(context, "compiled_parameters", ())
        else:
            rows = parameters if many else [parameters]
        names = compiled.positiontup if compiled is not None else None
        for row in rows:
            self._compare(org_id, proof, _Values(keys, row, names))
        return proof

    def _harmless(self, sql: str, context: ExecutionContext | None) -> bool:  # noqa: ARG002
        """Tell of a statement that no row can come out of, whatever it names."""
        return False

    def _words(self, tables: Iterable[str]) -> str:
        """Say what is the matter with a statement."""
        return f"Not held to one organization: {', '.join(sorted(tables))}."

    def _compare(self, org_id: str, proof: "Proof", value: "_Values") -> None:
        for alternatives in proof.required:
            if not any(value(source) == org_id for source in alternatives):
                message = "The statement names another organization."
                raise OutsideOrganization(message)
        if not proof.refused:
            return
        if proof.by_key is not None and (session := self.flushing.get()) is not None:
            table, key = proof.by_key
            if self._owns(session, table, {name: value(source) for name, source in key}, org_id):
                return
        raise OutsideOrganization(self._words(proof.refused))

    def _learn(
        self, sql: str, connection: Connection, compiled: SQLCompiler | None
    ) -> "tuple[Proof, tuple[Any, ...]] | None":
        """Prove a statement that is new; none when it names no walled table."""
        lowered = sql.lower()
        if not any(word in self._known for word in _WORD.findall(lowered)) and not any(
            name in lowered for name in self._known if not _WORD.fullmatch(name)
        ):
            return None
        style = connection.dialect.paramstyle
        named, keys = _name_parameters(sql, style, compiled)
        dialect = _DIALECTS.get(connection.dialect.name, connection.dialect.name)
        module = importlib.import_module(PROOF)
        proof: Proof = module.prove(
            named, dialect, self._known, self._column, kin=self._kin(), stamped=self._stamped()
        )
        return proof, keys


def _name_parameters(sql: str, style: str, compiled: SQLCompiler | None) -> tuple[str, tuple[Any, ...]]:
    """Write each parameter as ``:p0``, ``:p1`` …; the second part says where each one's value is."""
    keys: list[Any] = []
    numbered = list(_numbered(compiled)) if compiled is not None else []
    pattern = re.compile(f"(?P<skip>{_SKIP})|{_LATE}|(?P<own>{_STYLES[style]})", re.DOTALL)
    place = 0

    def swap(match: re.Match[str]) -> str:
        nonlocal place
        groups = match.groupdict()
        if groups["skip"] is not None:
            return match.group()
        if groups["late"] is not None:
            keys.append(groups["late"])
        elif groups.get("name") is not None:
            keys.append(groups["name"])
        elif groups.get("number") is not None:
            number = int(groups["number"]) - 1
            keys.append(numbered[number] if number < len(numbered) else number)
        else:
            keys.append(place)
        place += 1
        return f":p{len(keys) - 1}"

    return pattern.sub(swap, sql), tuple(keys)


def _numbered(compiled: SQLCompiler) -> Iterator[int]:
    """Give the places of what ``$1``, ``$2`` … stand for; those expanded late carry no number yet.

    Places, since the same SQL may come from statements that name their parameters otherwise.
    """
    late = compiled.post_compile_params | compiled.literal_execute_params
    for place, name in enumerate(compiled.positiontup or ()):
        if compiled.binds[name] not in late:
            yield place


class _Values:
    """The values that one row of parameters gives to the sources that a proof names."""

    __slots__ = ("_keys", "_names", "_row")

    def __init__(self, keys: Sequence[Any], row: Any, names: Sequence[str] | None) -> None:
        self._keys = keys
        self._row = row
        self._names = names

    def __call__(self, source: "Source") -> Any:
        if source.startswith("'"):
            return source[1:]
        key = self._keys[int(source[2:])]
        try:
            if isinstance(key, int) and self._names is not None:
                key = self._names[key]
            return self._row[key]
        except (KeyError, IndexError, TypeError):
            return None
