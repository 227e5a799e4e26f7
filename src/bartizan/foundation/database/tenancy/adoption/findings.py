"""Looks at a schema for what no wall covers: each fact with its reason and its cure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, MetaData, Table, UniqueConstraint, inspect, text

from bartizan.foundation.database.tenancy.rls import unbound_role

from .places import unowned
from .stamps import default
from .tables import Adopted
from .types import Finding

# Bodies of views, triggers and functions, by what they are.
_BODIES = {
    "sqlite": {
        "view": "SELECT name, sql FROM main.sqlite_master WHERE type = 'view'",
        "trigger": "SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger'",
    },
    "postgresql": {
        "view": "SELECT viewname, definition FROM pg_views WHERE schemaname = ANY (current_schemas(false))"
        " UNION ALL SELECT matviewname, definition FROM pg_matviews"
        " WHERE schemaname = ANY (current_schemas(false))",
        "trigger": "SELECT tgname, tgrelid::regclass::text || ' ' || prosrc FROM pg_trigger"
        " JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal",
        "function": "SELECT proname, prosrc FROM pg_proc WHERE prolang IN"
        " (SELECT oid FROM pg_language WHERE lanname IN ('sql', 'plpgsql'))"
        " AND pronamespace::regnamespace::text = ANY (current_schemas(false))"
        " AND prorettype <> 'trigger'::regtype",
    },
}
_WHY = {
    "view": "A query of the view names no adopted table, so nothing holds it to one tenant.",
    "trigger": "What a trigger reads and writes is not seen by any session or engine.",
    "function": "What a function of the database reads and writes is not seen by any session or engine.",
}
_CURE = {
    "view": "Add the owner's column to the view and adopt it as a table, or keep it for your own jobs. On"
    " PostgreSQL create it WITH (security_invoker) and adopt the table with policies=True.",
    "trigger": "Make sure that it stays with the row's owner: NEW and OLD carry the column.",
    "function": "Let it take the owner, or adopt the table with policies=True and keep it SECURITY INVOKER.",
}


def look(connection: Connection, adopted: Sequence[Adopted]) -> list[Finding]:
    """Say everything about what is adopted on one database."""
    inspector = inspect(connection)
    there: list[Adopted] = []
    found: list[Finding] = []
    for each in adopted:
        if inspector.has_table(each.table.name, each.table.schema):
            there.append(each)
        else:
            found.append(_missing(each))
    found += chain.from_iterable(
        chain(_stamping(connection, each), _uniques(connection, each), _beside(each)) for each in there
    )
    found += _neighbours(connection, there)
    found += _bodies(connection, there)
    found += _second_wall(connection, there)
    return found


def _missing(each: Adopted) -> Finding:
    return Finding(
        code="adoption.missing-table",
        subject=each.table.name,
        what="The table is not there.",
        why="It is adopted as soon as the application creates it through the same metadata, and not before.",
        cure="Create it, then start again if another program made it.",
    )


def _stamping(connection: Connection, each: Adopted) -> Iterator[Finding]:
    """Rows without an owner, and a column that would not get one."""
    name, column = each.table.name, each.owner.column
    if each.loose:
        return
    if each.side is None:
        columns: dict[str, Any] = {
            found["name"]: found for found in inspect(connection).get_columns(name, each.table.schema)
        }
        stamped = connection.dialect.name != "postgresql" or each.owner.setting in str(
            columns.get(column, {}).get("default")
        )
        if column not in columns or not stamped:
            yield Finding(
                code="adoption.unprepared",
                subject=name,
                what=f"{column} is missing or has lost its default.",
                why=f"Raw inserts need `DEFAULT {default(each.owner)}`.",
                cure="Start the application again: it puts back what is missing. Keep migrations from"
                ' dropping it (Alembic: an `include_name` that skips names beginning with "bz_").',
            )
        if column not in columns:
            return
    elif not inspect(connection).has_table(each.side.name, each.side.schema):
        return
    if count := unowned(connection, each):
        yield Finding(
            code="adoption.unowned",
            subject=name,
            what=f"{count} rows belong to nobody.",
            why="Another program wrote them, or a job across tenants did so by raw SQL. No tenant sees them.",
            cure="Say whose they are by `existing=` and start again.",
        )


def _uniques(connection: Connection, each: Adopted) -> Iterator[Finding]:
    """Values that only one tenant of all can have."""
    inspector = inspect(connection)
    name, schema = each.table.name, each.table.schema
    groups = [tuple(found["column_names"]) for found in inspector.get_unique_constraints(name, schema)]
    groups += [
        tuple(column for column in found["column_names"] if column)
        for found in inspector.get_indexes(name, schema)
        if found["unique"]
    ]
    groups += [
        tuple(column.name for column in constraint.columns)
        for constraint in each.table.constraints
        if isinstance(constraint, UniqueConstraint)
    ]
    for columns in sorted(set(groups)):
        if columns and each.owner.column not in columns:
            yield _unique(each, columns, "is unique across all tenants")
    if any(column.type.python_type is str for column in each.key if _has_python_type(column)):
        yield _unique(each, each.names, "is the primary key, a text that people choose")


def _unique(each: Adopted, columns: Sequence[str], what: str) -> Finding:
    listed = ", ".join(columns)
    return Finding(
        code="adoption.unique",
        subject=each.table.name,
        what=f"{listed} {what}.",
        why="A tenant who picks a value that another has is told so: names leak that they exist.",
        cure=f"Make it unique together with {each.owner.column}.",
    )


def _has_python_type(column: object) -> bool:
    try:
        return bool(column.type.python_type)  # type: ignore[attr-defined]
    except NotImplementedError:
        return False


def _beside(each: Adopted) -> Iterator[Finding]:
    if each.side is not None:
        yield Finding(
            code="adoption.side-table",
            subject=each.table.name,
            what=f"Owners are kept in {each.side.name}.",
            why="A count over a large tenant is many times slower than with a column; on PostgreSQL rows come"
            " and go only through the objects of a session, and rows of another program belong to nobody.",
            cure="Allow the column: adopt without side_table.",
        )


def _neighbours(connection: Connection, there: Sequence[Adopted]) -> Iterator[Finding]:
    """Tables that are tied to adopted ones and have no owner."""
    names = {each.table.name for each in there} | {each.side.name for each in there if each.side is not None}
    columns = {each.owner.column for each in there}
    known = {each.table.metadata for each in there}
    for table, to in sorted(set(_ties(connection, known))):
        if to in names and table not in names and not table.startswith("bz_"):
            yield Finding(
                code="adoption.reachable",
                subject=table,
                what=f"It refers to {to} and is not adopted.",
                why="Its rows belong to a tenant's and are open to every tenant.",
                cure=f"Adopt it too: bz.adopt({table}, …).",
            )
        elif table in names and to not in names and not to.startswith("bz_"):
            yield Finding(
                code="adoption.shared",
                subject=to,
                what=f"{table} refers to it and it is not adopted.",
                why=f"All tenants share its rows: right for reference data, else not ({', '.join(columns)} is"
                " missing).",
                cure="Adopt it too, unless it is meant for all.",
            )


def _ties(connection: Connection, known: Iterable[MetaData]) -> Iterator[tuple[str, str]]:
    """Give pairs of tables, the first of which refers to the second, as the database and the models know."""
    inspector = inspect(connection)
    for name in inspector.get_table_names():
        for key in inspector.get_foreign_keys(name):
            yield name, key["referred_table"]
    for metadata in known:
        for table in metadata.tables.values():
            yield from _declared(table)


def _declared(table: Table) -> Iterator[tuple[str, str]]:
    for constraint in table.foreign_key_constraints:
        yield table.name, constraint.elements[0].target_fullname.split(".")[-2]


def _bodies(connection: Connection, there: Sequence[Adopted]) -> Iterator[Finding]:
    """Views, triggers and functions whose text names an adopted table."""
    for kind, query in _BODIES.get(connection.dialect.name, {}).items():
        for name, body in connection.execute(text(query)):
            words = set((body or "").lower().replace('"', " ").replace(".", " ").replace(",", " ").split())
            words |= {word.strip("();") for word in words}
            for each in there:
                if each.name in words:
                    yield Finding(
                        code=f"adoption.{kind}",
                        subject=name,
                        what=f"The {kind} names {each.table.name}.",
                        why=_WHY[kind],
                        cure=_CURE[kind],
                    )


def _second_wall(connection: Connection, there: Sequence[Adopted]) -> Iterator[Finding]:
    """What PostgreSQL itself does not refuse."""
    if connection.dialect.name != "postgresql":
        return
    if any(each.policies for each in there) and (reason := unbound_role(connection)):
        yield Finding(
            code="adoption.role",
            subject="role",
            what=f"{reason}.",
            why="Row-level security does not bind it.",
            cure="Connect as a role that is NOSUPERUSER and NOBYPASSRLS.",
        )
    for each in there:
        if not each.policies and each.side is None and not each.loose:
            yield Finding(
                code="adoption.one-wall",
                subject=each.table.name,
                what="PostgreSQL has no policy for it.",
                why="Statements are proven before they leave this process; what other programs ask is not.",
                cure="Adopt it with policies=True where the application's role owns the table.",
            )
