"""How the database refuses, and how a driver's error becomes one of ours.

No text here ever holds SQL, values, a host or a password: the driver's own error stays in ``__cause__``,
for the log of an operator.
"""

import sqlite3
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bartizan.foundation.errors import Fault, Invalid, Unavailable


class DatabaseUnreachable(Unavailable):
    """The database does not answer."""


class DatabaseBusy(Unavailable):
    """The database is too busy; try again shortly."""


class DatabaseFull(Unavailable):
    """The database has no room left on its disk."""


class DatabaseReadOnly(Unavailable):
    """The database takes no writes here: it is a read-only one, or the block was opened for reading."""


class StatementTooSlow(Unavailable):
    """The database stopped a statement that took too long."""


class DatabaseDamaged(Unavailable):
    """The database file is damaged: restore a backup."""


class TransactionDoomed(Fault):
    """Part of this transaction failed, so none of it was kept.

    An error left a joined block and was caught further out. What may fail without harm to the rest
    belongs in ``database.savepoint()``.
    """


class NoTransaction(Fault):
    """This needs an open transaction of the running task."""


class WrongLoop(Fault):
    """The database is in use by another event loop; give each loop a Database of its own."""


class BadDatabaseUrl(Fault):
    """The database URL cannot be read: use sqlite:///path or postgresql://user:password@host/name."""


class MissingDriver(Fault):
    """An optional package is needed for this and not installed."""


class OutsideOrganization(Fault):
    """A statement could have reached another organization's rows, so it was refused."""


class NotAdoptable(Fault):
    """This model cannot be given an owner as it stands."""


class UnownedRows(Fault):
    """Rows from before the adoption belong to nobody: say whose they are."""


class UnsafeDatabase(Fault):
    """The database would not keep organizations apart."""


class UnknownRevision(Invalid):
    """There is no such revision of the tables."""


class MigrationsPending(Fault):
    """The tables are not at this version's revision: run `bartizan migrate`."""


_SQLITE = {
    sqlite3.SQLITE_BUSY: DatabaseBusy,
    sqlite3.SQLITE_LOCKED: DatabaseBusy,
    sqlite3.SQLITE_FULL: DatabaseFull,
    sqlite3.SQLITE_READONLY: DatabaseReadOnly,
    sqlite3.SQLITE_IOERR: DatabaseUnreachable,
    sqlite3.SQLITE_CANTOPEN: DatabaseUnreachable,
    sqlite3.SQLITE_PROTOCOL: DatabaseBusy,
    sqlite3.SQLITE_CORRUPT: DatabaseDamaged,
    sqlite3.SQLITE_NOTADB: DatabaseDamaged,
    sqlite3.SQLITE_INTERRUPT: StatementTooSlow,
}
# SQLSTATE, PostgreSQL 15 appendix A. The longest prefix counts.
_POSTGRES = {
    "08": DatabaseUnreachable,
    "25006": DatabaseReadOnly,
    "25P03": DatabaseUnreachable,
    "28": DatabaseUnreachable,
    "3D": DatabaseUnreachable,
    "40001": DatabaseBusy,
    "40P01": DatabaseBusy,
    "53": DatabaseBusy,
    "53100": DatabaseFull,
    "55000": DatabaseUnreachable,  # as when a database lets nobody in for a while
    "55P03": DatabaseBusy,
    "57": DatabaseUnreachable,
    "57014": StatementTooSlow,
    "58": DatabaseUnreachable,
}


def fault_of(error: BaseException) -> Unavailable | None:
    """Tell which of our faults a driver's error is; none when it is the statement's fault."""
    for cause in _chain(error):
        if isinstance(cause, Unavailable):
            return cause
        if isinstance(cause, PoolTimeout):
            return DatabaseBusy()
        kind = None
        if isinstance(cause, sqlite3.Error):
            kind = _SQLITE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
        elif isinstance(state := getattr(cause, "sqlstate", None), str):
            kind = next((_POSTGRES[state[:n]] for n in (5, 2) if state[:n] in _POSTGRES), None)
        elif isinstance(cause, OSError | TimeoutError) or (
            isinstance(cause, DBAPIError) and cause.connection_invalidated
        ):
            kind = DatabaseUnreachable
        if kind is not None:
            return kind()
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Walk from an error through what it wraps; a driver's error is some levels down."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = getattr(error, "orig", None) or error.__cause__
