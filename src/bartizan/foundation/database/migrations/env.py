"""What Alembic runs: our revisions over the connection it was given."""

from alembic import context

from bartizan.foundation.database.migrations.runner import OPTIONS

_attributes = context.config.attributes
context.configure(connection=_attributes["connection"], target_metadata=_attributes["metadata"], **OPTIONS)
context.run_migrations()
