"""The database: is it there, is it the right one, does it keep organizations apart."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from bartizan.foundation.capability import Check, Verdict
from bartizan.foundation.database import Facts
from bartizan.foundation.errors import BartizanError

from .case import Case
from .probes import Unanswered, redis
from .probes import reason as reason_of

_OLDEST = 13
"""The oldest PostgreSQL that is still looked after somewhere."""
_SKEW, _MUCH_SKEW = 2.0, 30.0
_DRIFT_SHOWN = 3
# SQLSTATE, PostgreSQL 15 appendix A: what the server said, and what to do.
_SAID = {
    "28P01": ("it refuses the password", "Check the user and the password in BARTIZAN_DATABASE."),
    "28000": ("it does not let this user in from here", "Check the user, and pg_hba.conf on the server."),
    "3D000": ("it has no such database", "Make it: createdb -O <user> <name>, or name another one."),
    "53300": ("it has no connection left", "Raise max_connections, or lower ..._OPTIONS__POOL_SIZE."),
    "57P03": ("it is starting up or shutting down", "Wait a moment and look again."),
    "55000": ("that database lets nobody in", "ALTER DATABASE <name> ALLOW_CONNECTIONS true"),
}  # fmt: skip
_SQLITE = {
    sqlite3.SQLITE_CANTOPEN: ("the file cannot be opened", "Make its folder, and let this user write there."),
    sqlite3.SQLITE_READONLY: ("the file is read-only", "Let this user write the file and its folder."),
    sqlite3.SQLITE_NOTADB: ("the file is not a SQLite database", "Name another file, or restore a backup."),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", "Restore a backup: docs/how-to/backup.md."),
    sqlite3.SQLITE_FULL: ("the disk is full", "Make room on the disk."),
    sqlite3.SQLITE_BUSY: ("another process holds it", "Find out which: fuser <file>."),
    sqlite3.SQLITE_IOERR: ("the disk fails", "Look at the disk, and restore a backup."),
}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = getattr(error, "orig", None) or error.__cause__ or error.__context__


def explained(error: BaseException) -> tuple[str, str]:
    """Say why a database gave no answer, and what to do; never with a password."""
    found: tuple[str, str] | None = None
    for cause in _chain(error):
        state = getattr(cause, "sqlstate", None)
        if isinstance(state, str) and state in _SAID:
            return _SAID[state]
        if isinstance(cause, sqlite3.Error):
            code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
            return _SQLITE.get(code, (str(cause), "Look at the file."))
        if isinstance(cause, OSError | TimeoutError):
            found = reason_of(cause), "Start it, or look at host and port in BARTIZAN_DATABASE."
    return found or (str(error).rstrip("."), "Look at BARTIZAN_DATABASE.")


def _place(case: Case) -> str:
    parts = urlsplit(case.rooms.settings.database)
    if parts.scheme.startswith("sqlite"):
        return f"The SQLite file {parts.path.removeprefix('/') or ':memory:'}"
    host = parts.netloc.rpartition("@")[2] or "this machine"
    return f"PostgreSQL at {host}, database {parts.path.removeprefix('/')},"


async def _answers(case: Case) -> Verdict:
    try:
        await case.rooms.database.ping()
        facts = await case.rooms.database.facts()
    except (BartizanError, OSError) as error:
        why, fix = explained(error)
        return Verdict.problem(f"{_place(case)} does not answer: {why}.", fix)
    return _version(case.rooms.database.kind, facts)


def _version(kind: str, facts: Facts) -> Verdict:
    if kind == "sqlite":
        return Verdict.ok(f"SQLite {facts.version} answers.")
    if not facts.version.partition(".")[0].isdigit() or int(facts.version.partition(".")[0]) >= _OLDEST:
        return Verdict.ok(f"PostgreSQL {facts.version} answers.")
    return Verdict.warning(
        f"PostgreSQL {facts.version} gets no security fixes any more.", f"Upgrade to {_OLDEST} or later."
    )


async def _revision(case: Case) -> Verdict:
    database = case.rooms.database
    facts = await database.facts()
    if not facts.known:
        return Verdict.problem(
            f"The tables are at revision {facts.revision}, which this version does not know: a newer one was "
            "here.",
            "Install the newer version again, or restore a backup from before it.",
        )
    if facts.revision == facts.newest:
        return Verdict.ok(f"The tables are at revision {facts.newest}, that of this version.")

    async def migrate() -> str:
        await database.migrate()
        return f"Migrated the tables from {facts.revision or 'nothing'} to {facts.newest}."

    settings = case.rooms.settings
    embedded = settings.database_options.auto_migrate and not settings.production
    return Verdict.problem(
        f"The tables are at revision {facts.revision or 'none'} instead of {facts.newest}.",
        "bartizan migrate",
        migrate if embedded else None,
    )


async def _drift(case: Case) -> Verdict:
    found = await case.rooms.database.drift()
    found = [one for one in found if "is not walled" not in one]
    if not found:
        return Verdict.ok("The tables are as this version declares them.")
    some = "; ".join(" ".join(one.split())[:120] for one in found[:_DRIFT_SHOWN])
    return Verdict.warning(
        f"{len(found)} things differ from what this version declares: {some}.",
        "Somebody changed a table of ours by hand: change it back.",
    )


async def _walls(case: Case) -> Verdict:
    database = case.rooms.database
    facts = await database.facts()
    if database.kind == "sqlite":
        return Verdict.ok("One wall between organizations: every statement is checked (SQLite has no other).")
    if not facts.unwalled:
        return Verdict.ok("Both walls between organizations stand: row-level security is forced.")

    async def raise_them() -> str:
        await database.raise_walls()
        return f"Raised the wall around {', '.join(facts.unwalled)}."

    return Verdict.problem(
        f"Row-level security does not hold for {', '.join(facts.unwalled)}.",
        "bartizan doctor --fix, as the owner of the tables",
        raise_them,
    )


async def _role(case: Case) -> Verdict:
    facts, settings = await case.rooms.database.facts(), case.rooms.settings
    if facts.unbound is None:
        return Verdict.ok("The role in use is bound by row-level security.")
    allowed = settings.database_options.allow_superuser and not settings.production
    say = Verdict.warning if allowed else Verdict.problem
    return say(
        f"{facts.unbound}, which row-level security does not bind.",
        "CREATE ROLE bartizan LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD '…'; "
        "ALTER DATABASE … OWNER TO bartizan; and name that role in BARTIZAN_DATABASE.",
    )


async def _clock(case: Case) -> Verdict:
    before = case.rooms.clock.now()
    facts = await case.rooms.database.facts()
    after = case.rooms.clock.now()
    there = facts.now if facts.now.tzinfo else facts.now.replace(tzinfo=UTC)
    skew = _between(there, before, after)
    if abs(skew) < _SKEW:
        return Verdict.ok("This machine's clock and the database's agree.")
    say = Verdict.problem if abs(skew) >= _MUCH_SKEW else Verdict.warning
    return say(
        f"The database's clock is {abs(skew):.0f} seconds {'ahead' if skew > 0 else 'behind'} of this one.",
        "Let both follow a time server: timedatectl set-ntp true",
    )


def _between(moment: datetime, before: datetime, after: datetime) -> float:
    """Tell how far a moment lies outside of a span, in seconds."""
    if moment > after:
        return (moment - after).total_seconds()
    return (moment - before).total_seconds() if moment < before else 0.0


async def _settings(case: Case) -> Verdict | Sequence[Verdict]:
    facts = await case.rooms.database.facts()
    said, options = facts.settings, case.rooms.settings.database_options
    found: list[Verdict] = []
    if case.rooms.database.kind == "sqlite":
        if said["journal_mode"] != "wal":
            found.append(
                Verdict.problem(
                    f"The write-ahead log is not on: journal_mode is {said['journal_mode']}.",
                    "Put the file on a disk of this machine that can be written, and start again.",
                )
            )
        if said["foreign_keys"] != "1":
            found.append(Verdict.problem("Foreign keys are off.", "Use a SQLite that was built with them."))
        return found or Verdict.ok(f"The write-ahead log is on; commits are {options.synchronous}.")
    most, wanted = int(said["max_connections"]), options.pool_size + options.max_overflow
    if most < wanted:
        found.append(
            Verdict.warning(
                f"The server takes {most} connections, and one replica may open {wanted}.",
                f"Raise max_connections, or set BARTIZAN_DATABASE_OPTIONS__POOL_SIZE below {most}.",
            )
        )
    if said["server_encoding"].upper() != "UTF8":
        found.append(
            Verdict.problem(
                f"The database's encoding is {said['server_encoding']}: some names cannot be stored.",
                "Make it anew: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and move the data.",
            )
        )
    if said["fsync"] == "off" or said["synchronous_commit"] == "off":
        what = "fsync" if said["fsync"] == "off" else "synchronous_commit"
        found.append(
            Verdict.warning(
                f"{what} is off: acknowledged changes, audit records too, are lost in a power cut.",
                f"ALTER SYSTEM SET {what} = on; SELECT pg_reload_conf();",
            )
        )
    return found or Verdict.ok(f"The server is set as it should be; it takes {most} connections.")


async def _redis(case: Case) -> Verdict:
    url = case.rooms.settings.redis
    if not url:
        return Verdict.ok("No Redis is named, and none is needed.")
    host = urlsplit(url).netloc.rpartition("@")[2]
    try:
        version = await redis(url)
    except Unanswered as error:
        return Verdict.problem(
            f"Redis at {host} does not answer: {error}.",
            "Start it, or look at host, port and password in BARTIZAN_REDIS; leave it out to do without.",
        )
    return Verdict.ok(f"Redis {version} answers at {host}.")


DATABASE = (
    Check(
        code="database.answers",
        group="Database",
        asks="The database answers, and is of a version that is looked after.",
        why="Nothing works without it.",
        look=_answers,
        needs="house",
        gives="database",
    ),
    Check(
        code="database.revision",
        group="Database",
        asks="The tables are at the revision of this version.",
        why="Start-up refuses tables of another revision.",
        look=_revision,
        mends="migrates where the app would by itself: outside of production, with auto_migrate on",
        needs="database",
        gives="tables",
    ),
    Check(
        code="database.walls",
        group="Database",
        asks="Row-level security is forced on every table of organizations.",
        why="It is the second wall between tenants, for the day when the first has a hole.",
        look=_walls,
        mends="raises the missing walls",
    ),
    Check(
        code="database.role",
        group="Database",
        asks="The role in use is bound by row-level security.",
        why="A superuser or a role with BYPASSRLS sees every tenant's rows, whatever the policies say.",
        look=_role,
    ),
    Check(
        code="database.tables",
        group="Database",
        asks="The tables are as this version declares them.",
        why="A missing index is slow, a missing constraint lets in what nobody expects.",
        look=_drift,
    ),
    Check(
        code="database.clock",
        group="Database",
        asks="This machine's clock and the database's agree to 2 seconds.",
        why="Sessions, leases of jobs and tokens go by the clock; above 30 seconds tokens are refused.",
        look=_clock,
        needs="database",
    ),
    Check(
        code="database.settings",
        group="Database",
        asks="SQLite: write-ahead log and foreign keys are on. PostgreSQL: UTF-8, durable commits, enough "
        "connections.",
        why="Each of these loses or refuses data at a bad moment.",
        look=_settings,
        needs="database",
    ),
    Check(
        code="redis.answers",
        group="Database",
        asks="Redis answers, if BARTIZAN_REDIS names one.",
        why="Replicas share limits and wake each other through it.",
        look=_redis,
        needs="house",
    ),
)
