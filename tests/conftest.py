"""What every test gets: a clock, a database of its own on SQLite and on PostgreSQL, the features report."""

pytest_plugins = ["tests.harness.databases", "tests.harness.features"]
