"""Packaged migrations: how the tables come to be, and change.

They keep a version table of their own (``bz_alembic_version``) and look at ``bz_`` tables only, so that
they live beside a host's. Any number of processes may start at once: one migrates, the others wait.
A released migration is never edited. A change must leave the version before it working (add, backfill,
switch, remove in later releases), so that replicas can be replaced one by one.

Alembic takes long to import: nothing here is imported before it is needed.
"""
