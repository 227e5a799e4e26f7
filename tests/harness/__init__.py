"""What the tests stand on: a PostgreSQL server, a database for each test, the report of features."""
