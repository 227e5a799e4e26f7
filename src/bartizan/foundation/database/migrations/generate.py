"""Writes the first revision from the declared tables.

``python -m bartizan.foundation.database.migrations.generate [--check]``. Until the first release there is
one revision, written anew whenever a table changes. It holds the very statements that each database is
sent, triggers and tenant walls included. After the release it is frozen.
"""

import re
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, create_mock_engine

from bartizan.foundation.database import Table, dialect
from bartizan.foundation.database.migrations.runner import import_tables
from bartizan.foundation.database.tables import WALL
from bartizan.foundation.database.tenancy.rls import wall_statements

_HEAD = '''"""All tables of the first release. Written by ``migrations.generate``: do not edit."""
# fmt: off

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
'''
_TAIL = """

def upgrade() -> None:
    connection = op.get_bind()
    for statement in UP[connection.dialect.name]:
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    connection = op.get_bind()
    for statement in DOWN[connection.dialect.name]:
        connection.exec_driver_sql(statement)
"""


def statements(metadata: MetaData, kind: str) -> tuple[list[str], list[str]]:
    """Give the statements that make the tables, and those that remove them."""
    dialect.register()
    up: list[str] = []

    def take(statement: Any, *_: object, **__: object) -> None:
        text = str(statement.compile(dialect=engine.dialect))
        up.append(re.sub(r"[ \t]+\n", "\n", text).strip())

    engine = create_mock_engine("sqlite://" if kind == "sqlite" else "postgresql+asyncpg://", take)
    metadata.create_all(engine, checkfirst=False)
    up = _ordered(up)
    down = [f'DROP TABLE "{table.name}"' for table in reversed(metadata.sorted_tables)]
    if kind == "postgresql":
        for table in WALL.tables(metadata):
            up += wall_statements(table.name)
        made = (re.match(r"CREATE (?:OR REPLACE )?FUNCTION (\w+\(\))", statement) for statement in up)
        down += [f"DROP FUNCTION {found.group(1)}" for found in made if found]
    return up, down


def _ordered(made: list[str]) -> list[str]:
    """Sort the indexes of each table, which come in another order each time."""
    runs = groupby(made, key=lambda statement: bool(re.match(r"CREATE (UNIQUE )?INDEX", statement)))
    return [statement for indexes, run in runs for statement in (sorted(run) if indexes else run)]


def render(metadata: MetaData) -> str:
    """Write the revision."""
    both = {kind: statements(metadata, kind) for kind in ("sqlite", "postgresql")}
    parts = [_HEAD]
    for name, which in (("UP", 0), ("DOWN", 1)):
        parts.append(f"\n{name}: dict[str, tuple[str, ...]] = {{\n")
        for kind, lists in both.items():
            parts.append(f'    "{kind}": (\n')
            parts += [f"        {_quoted(statement)},\n" for statement in lists[which]]
            parts.append("    ),\n")
        parts.append("}\n")
    return "".join((*parts, _TAIL))


def _quoted(statement: str) -> str:
    if "\n" not in statement:
        return repr(statement) if '"' in statement else f'"{statement}"'
    assert '"""' not in statement
    body = statement.replace("\\", "\\\\")
    return f'"""\n{body}\n"""'


def main(arguments: list[str]) -> int:
    """Write the file, or with ``--check`` tell whether it would change."""
    import_tables()
    file = Path(__file__).parent / "versions" / "v0001_initial.py"
    text = render(Table.metadata)
    if "--check" in arguments:
        return 0 if file.exists() and file.read_text() == text else 1
    file.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
