"""People and organizations for tests, made through the public services only."""
