"""Write a migration for what the tables have gained and lost: ``python tools/migration.py "add colour"``.

It compares the tables as declared with a new database at the newest revision. Read what it wrote: a machine
sees that a column is gone and another is there, and not that it was renamed.
"""

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations.ops import MigrationScript
from sqlalchemy import create_engine

from bartizan.foundation.database import Database, Table

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.inventory import HOUSE, capabilities

VERSIONS = HOUSE / "foundation" / "database" / "migrations" / "versions"
TEMPLATE = '''"""{message}."""

import sqlalchemy as sa
from alembic import op

from bartizan.foundation.database import tables

revision = "{revision}"
down_revision = {before}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
{upgrade}


def downgrade() -> None:
    """Go back to the one before."""
{downgrade}
'''


def existing() -> list[str]:
    """Give the revisions there are, the oldest first."""
    return sorted(file.name.partition("_")[0] for file in VERSIONS.glob("[0-9]*_*.py"))


async def at_newest(file: Path) -> None:
    """Bring a new database to the newest revision."""
    database = Database(f"sqlite:///{file}")
    await database.migrate()
    await database.close()


def difference() -> MigrationScript:
    """Compare the tables as declared with those of the newest revision."""
    assert capabilities()  # their tables are declared by being imported
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "newest.db"
        if existing():
            asyncio.run(at_newest(file))
        engine = create_engine(f"sqlite:///{file}")
        with engine.connect() as connection:
            options = {
                "compare_type": False,
                "include_object": lambda _thing, name, kind, *_: (
                    kind != "table" or str(name).startswith("bz_")
                ),
            }
            context = MigrationContext.configure(connection, opts=options)
            script = produce_migrations(context, Table.metadata)
        engine.dispose()
    return script


def body(script: MigrationScript, *, up: bool) -> str:
    """Write one direction as code."""
    operations = script.upgrade_ops if up else script.downgrade_ops
    assert operations is not None
    code = render_python_code(operations, render_as_batch=True, user_module_prefix="tables.")
    return "\n".join(line for line in code.splitlines() if "###" not in line).strip("\n")


def main(message: str) -> int:
    """Write the file, if there is anything to write."""
    script = difference()
    if script.upgrade_ops is None or script.upgrade_ops.is_empty():
        sys.stdout.write("The tables are what the newest revision makes them.\n")
        return 1
    before = existing()
    revision = f"{len(before) + 1:04}"
    slug = re.sub(r"\W+", "_", message.lower()).strip("_")
    file = VERSIONS / f"{revision}_{slug}.py"
    VERSIONS.mkdir(parents=True, exist_ok=True)
    file.write_text(
        TEMPLATE.format(
            message=message[:1].upper() + message[1:].rstrip("."),
            revision=revision,
            before=f'"{before[-1]}"' if before else "None",
            upgrade=body(script, up=True),
            downgrade=body(script, up=False),
        )
    )
    sys.stdout.write(f"{file}: read it, and mend what a machine cannot know.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
