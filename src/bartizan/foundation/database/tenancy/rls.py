"""Wall 2: PostgreSQL itself shows and takes only the rows of the organization it was told.

FORCE makes the policy bind the tables' owner too, since that is the role applications use. What it does
not bind are superusers and roles with BYPASSRLS, so start-up refuses both. It does not stop SQL that
calls ``set_config`` itself, and unique constraints still reveal that a value exists: wall 1 stands in front.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Table, text

from bartizan.foundation.database.errors import UnsafeDatabase

SETTING = "bartizan.org_id"


def wall_statements(table: str, column: str = "org_id", setting: str = SETTING) -> Sequence[str]:
    """Give the SQL that walls one table."""
    told = f"current_setting('{setting}', true)"
    # An unset setting is NULL in a fresh connection and '' in a used one; both match nothing.
    held = f"\"{column}\" = nullif({told}, '') OR {told} = '*'"
    return (
        f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
        f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY',
        f'DROP POLICY IF EXISTS bz_organization ON "{table}"',
        f'CREATE POLICY bz_organization ON "{table}" USING ({held}) WITH CHECK ({held})',
    )


def raise_walls(connection: Connection, tables: Iterable[Table], column: str = "org_id") -> None:
    """Wall those of the tables that are not yet."""
    if connection.dialect.name != "postgresql":
        return
    for name in unwalled(connection, tables):
        for statement in wall_statements(name, column):
            connection.exec_driver_sql(statement)


def unwalled(connection: Connection, tables: Iterable[Table]) -> list[str]:
    """Name the tables that exist and lack forced row-level security or a policy for reads and writes."""
    names = sorted(table.name for table in tables)
    found = connection.execute(
        text(
            "SELECT c.relname FROM pg_class c WHERE c.relname = ANY(:names) AND c.relkind IN ('r', 'p')"
            " AND pg_table_is_visible(c.oid) AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS ("
            "SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'bz_organization'"
            " AND p.polcmd = '*' AND p.polqual IS NOT NULL AND p.polwithcheck IS NOT NULL)"
            " AND NOT EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid"
            " AND p.polname <> 'bz_organization' AND p.polpermissive)) ORDER BY c.relname"
        ),
        {"names": names},
    )
    return list(found.scalars())


def unbound_role(connection: Connection) -> str | None:
    """Say why row-level security does not bind the role in use, if it does not."""
    role = connection.execute(
        text("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
    ).one()
    if role.rolsuper:
        return f"The role {role.rolname} is a superuser"
    if role.rolbypassrls:
        return f"The role {role.rolname} has BYPASSRLS"
    return None


def check(connection: Connection, tables: Iterable[Table], *, allow_superuser: bool) -> str | None:
    """Refuse a database whose second wall has a hole; give the warning that is left, if any."""
    if gaps := unwalled(connection, tables):
        message = f"Tables without forced row-level security: {', '.join(gaps)}. Run `bartizan migrate`."
        raise UnsafeDatabase(message, tables=gaps)
    reason = unbound_role(connection)
    if reason is None:
        return None
    if not allow_superuser:
        message = (
            f"{reason}, which row-level security does not bind. Connect as another:"
            " CREATE ROLE bartizan LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD '…';"
            " ALTER DATABASE … OWNER TO bartizan."
        )
        raise UnsafeDatabase(message)
    return f"{reason}: PostgreSQL does not keep organizations apart. For development only."
