"""Queries about wake-ups: plain functions of a connection, so that they share commits."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, select, text

from .tables import WakeupRow

_BUMP = text(
    "INSERT INTO bz_wakeups (topic, version) VALUES (:topic, 1)"
    " ON CONFLICT (topic) DO UPDATE SET version = bz_wakeups.version + 1 RETURNING version"
)
_NOTIFY = text("SELECT pg_notify(:channel, :payload)")
_ALL = select(WakeupRow.topic, WakeupRow.version)


def bump(connection: Connection, topics: Iterable[str]) -> Mapping[str, int]:
    """Count an announcement of each topic; give the new counts. In order, so that nobody waits in a ring."""
    return {topic: connection.execute(_BUMP, {"topic": topic}).scalar_one() for topic in sorted(set(topics))}


def versions(connection: Connection) -> Mapping[str, int]:
    """Read all counts: a few rows."""
    return {topic: version for topic, version in connection.execute(_ALL)}  # noqa: C416 - rows, not pairs


def notify(connection: Connection, channel: str, payloads: Sequence[str]) -> None:
    """Tell whoever listens on PostgreSQL, as soon as this commits."""
    for payload in payloads:
        connection.execute(_NOTIFY, {"channel": channel, "payload": payload})
