"""Moves a database to a revision, tells where it is, and what differs from the declared tables."""

import importlib
import pkgutil
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, Table, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.schema import CreateIndex

from bartizan.foundation.database.errors import DatabaseDamaged, MigrationsPending, UnknownRevision
from bartizan.foundation.database.tenancy.rls import unwalled

HOME = Path(__file__).parent
"""Where env.py and the folder of revisions are."""
_LOCK = 0x62617274  # "bart": the number of the advisory lock that migrating processes take


def _ours(_item: object, name: str | None, kind: str, _reflected: object, _other: object) -> bool:
    return kind != "table" or (name or "").startswith("bz_")


OPTIONS: dict[str, Any] = {
    "version_table": "bz_alembic_version",
    "render_as_batch": True,
    "include_object": _ours,
    "transactional_ddl": True,
    "compare_type": True,
}


def head(home: Path = HOME) -> str | None:
    """Name the newest revision; none before the first."""
    return _scripts(home).get_current_head()


def revision(connection: Connection) -> str | None:
    """Name the revision that a database is at; none if it has no tables of ours."""
    return MigrationContext.configure(connection, opts=OPTIONS).get_current_revision()


def knows(wanted: str | None, home: Path = HOME) -> bool:
    """Tell whether this version comes with a revision; none is that of an empty database."""
    return wanted is None or any(script.revision == wanted for script in _scripts(home).walk_revisions())


def move(connection: Connection, target: str, metadata: MetaData, home: Path = HOME) -> None:
    """Go up or down to a revision, ``head`` or ``base``, in the connection's open transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    scripts = _scripts(home)
    here = revision(connection)
    if target != "base":
        try:
            target = scripts.get_revision(target).revision
        except CommandError as error:
            message = f"There is no revision {target}; the newest is {scripts.get_current_head()}."
            raise UnknownRevision(message, field="revision") from error
    if here == target:
        return
    config = _config(home)
    config.attributes.update(connection=connection, metadata=metadata)
    below = {script.revision for script in scripts.iterate_revisions(here, "base")} if here else set[str]()
    if target == "base" or target in below:
        command.downgrade(config, target)
    else:
        command.upgrade(config, target)


def move_file(url: URL, target: str, metadata: MetaData, home: Path = HOME) -> None:
    """Do the same to a SQLite file. Blocks: for a thread.

    A table is changed by copying it, so foreign keys are off meanwhile, and checked before the commit.
    """
    engine = create_engine(url.set(drivername="sqlite"))
    event.listen(engine, "connect", _prepare)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            move(connection, target, metadata, home)
            if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
                message = f"After the migration {len(broken)} rows refer to rows that do not exist."
                raise DatabaseDamaged(message)
            connection.exec_driver_sql("COMMIT")
    finally:
        engine.dispose()


def require_head(connection: Connection, home: Path = HOME) -> None:
    """Refuse a database that is not at the newest revision."""
    newest, here = head(home), revision(connection)
    if newest and here != newest:
        message = f"The tables are at revision {here or 'none'} instead of {newest}. Run `bartizan migrate`."
        raise MigrationsPending(message, revision=here, needed=newest)


def drift(connection: Connection, metadata: MetaData, walled: Iterable[Table]) -> list[str]:
    """Say in what the database differs from the declared tables; nothing, where migrations are complete."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Did not recognize type", category=Warning)
        context = MigrationContext.configure(connection, opts=OPTIONS)
        found = [
            str(item)
            for item in compare_metadata(context, metadata)
            if not _as_written(connection, metadata, item)
        ]
    if connection.dialect.name == "postgresql":
        found += [f"{name} is not walled" for name in unwalled(connection, walled)]
    return found


def _as_written(connection: Connection, metadata: MetaData, difference: Any) -> bool:
    """Tell whether an index is there after all: one on an expression SQLite can only quote."""
    if connection.dialect.name != "sqlite" or difference[0] not in ("add_index", "remove_index"):
        return False
    name = difference[1].name
    declared = (index for table in metadata.tables.values() for index in table.indexes if index.name == name)
    wanted = {str(CreateIndex(index).compile(dialect=connection.dialect)) for index in declared}
    quoted = text("SELECT sql FROM sqlite_master WHERE type = 'index' AND name = :name")
    found = connection.execute(quoted, {"name": name}).scalar()
    return {" ".join(sql.split()) for sql in wanted} == {" ".join(str(found).split())}


def import_tables() -> None:
    """Import every room's tables, so that the metadata knows them all."""
    package = importlib.import_module("bartizan")
    for module in pkgutil.walk_packages(package.__path__, "bartizan."):
        if re.fullmatch(r"bartizan\.\w+\.\w+\.tables(\.\w+)?", module.name):
            importlib.import_module(module.name)


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=60000")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=OFF")


def _config(home: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(home).replace("%", "%%"))
    return config


def _scripts(home: Path) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(home))
