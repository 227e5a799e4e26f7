"""Rules of the audit log."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bartizan.backbone.audit.errors import InvalidAuditEntry, UnknownAuditEvent
from bartizan.backbone.audit.events import SubjectErased
from bartizan.backbone.audit.settings import AuditSettings
from bartizan.backbone.audit.store import AuditStore, AuditWriter
from bartizan.backbone.audit.types import (
    ANONYMOUS,
    PLATFORM,
    Action,
    AuditEvent,
    AuditQuery,
    AuditRecord,
    AuditState,
    Detail,
    Draft,
    NewAuditEntry,
    resource_of,
    tidy,
    tidy_path,
)
from bartizan.backbone.events import Envelope, Events, plain
from bartizan.foundation import ids
from bartizan.foundation.capability import Outcome
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller, Origin, Permission, current
from bartizan.foundation.crypto import Keyring
from bartizan.foundation.database import Database
from bartizan.foundation.pages import InvalidCursor, Page, cut, decode

from .keys import SubjectKeys
from .reader import Reader
from .recorder import Recorder, ip_macs

READ = Permission("audit:read", "Read the audit log")
WRITE = Permission("audit:write", "Write entries of one's own to the audit log")
EXPORT = Permission("audit:export", "Export the audit log as evidence")

_VERBS = {"POST": "posted", "PUT": "put", "PATCH": "patched", "DELETE": "deleted"}
_IP = 45
"""Letters in the longest address: IPv6 with an IPv4 tail."""
_USER_AGENT = 500
_READ_SECONDS = 60.0
_READERS_REMEMBERED = 10_000
_EXPORTED_AT_ONCE = 500
_DENIED = (401, 403)
_FAILED = 400
_action = TypeAdapter[str](Action)


class Audit:
    """Who did what, when, to what, from where, and how it ended: ``bz.audit``.

    Every announced fact is written in its own transaction, so that neither exists without the other. Rows
    can only be added, which the database itself enforces. What identifies a person lies sealed beside the
    record and can be erased without touching it.
    """

    def __init__(
        self,
        database: Database,
        events: Events,
        keyring: Keyring,
        settings: AuditSettings | None = None,
        *,
        clock: Clock,
    ) -> None:
        self._database = database
        self._events = events
        self._keyring = keyring
        self._clock = clock
        self._keys = SubjectKeys(database, keyring, clock)
        self._recorder = Recorder(database, keyring, self._keys, settings or AuditSettings(), clock)
        self._reader = Reader(self._keys)
        self._readers: dict[tuple[str, str], float] = {}
        events.within("*", self._hear)

    async def log(
        self,
        action: str,
        *,
        resource_type: str | None = None,
        resource_id: str | None = None,
        details: Mapping[str, Any] | None = None,
        personal: Mapping[str, Any] | None = None,
        outcome: Outcome = "success",
    ) -> str:
        """Write an entry in the caller's transaction and give its id.

        ``details`` are plain facts that stay for good. Whatever identifies a person, and any free text, goes
        into ``personal``: it is sealed under the key of the person it is about (the resource if that is a
        user, else the caller) and can be erased.
        """
        try:
            action = _action.validate_python(action)
            changes, private = plain(details or {}), plain(personal or {})
        except (ValidationError, TypeError) as error:
            raise InvalidAuditEntry(str(error)) from error
        draft = self._draft(
            action,
            target=(resource_type, resource_id),
            outcome=outcome,
            changes=changes,
            personal=private,
            subject=resource_id if resource_type == "user" else None,
        )
        await self._recorder.add(draft, current.origin)
        return draft.id

    async def write(self, entry: NewAuditEntry) -> AuditEvent:
        """Write an entry of your own: something that your application did and we cannot know of."""
        current.require(WRITE)
        async with self._database.transaction():
            event_id = await self.log(
                entry.action,
                resource_type=entry.resource_type,
                resource_id=entry.resource_id,
                details=entry.details,
                personal=entry.personal,
                outcome=entry.outcome,
            )
        return await self._one(event_id, current.caller.org_id or PLATFORM)

    async def request(self, status: int) -> None:
        """Write down a request that may have changed something, unless it left its own entry already.

        Called with the status of the answer, after it; GET and other safe methods leave no entry.
        """
        origin = current.origin
        verb = _VERBS.get(origin.method or "") if origin else None
        if origin is None or verb is None or origin.recorded:
            return
        outcome: Outcome = "denied" if status in _DENIED else "failure" if status >= _FAILED else "success"
        draft = self._draft(
            f"request.{verb}",
            target=resource_of(tidy_path(origin.path)),
            outcome=outcome,
            changes={"status": status},
            personal={},
            subject=None,
        )
        await self._recorder.add_alone(draft, origin)

    async def search(self, query: AuditQuery) -> Page[AuditEvent]:
        """List what happened in this organization, newest first. Reading is itself recorded."""
        log_id = self._readable(query.org, READ)
        before: tuple[datetime, str] | None = None
        if query.cursor is not None:
            moment, event_id = decode(query.cursor, 2)
            try:
                before = datetime.fromisoformat(moment), event_id
            except ValueError as error:
                raise InvalidCursor(field="cursor") from error
            if before[0].tzinfo is None:
                raise InvalidCursor(field="cursor")
        await self._note_reading(log_id)
        async with self._database.reading() as session:
            rows = await AuditStore(session, log_id).newest(
                query, ip_macs=self._ip_macs(query), before=before, limit=query.limit + 1
            )
        rows, following = cut(rows, query.limit, lambda s: [s.row.occurred_at.isoformat(), s.row.id])
        return Page(items=await self._reader.events(rows), next=following)

    async def requests(self, limit: int = 10_000) -> Sequence[tuple[str, str]]:
        """List the methods and paths that the newest ``limit`` records of every log name; operators only."""
        current.require_operator()
        await self._note_reading(PLATFORM)
        async with self._database.reading() as session:
            return await AuditWriter(session).requests(limit)

    async def get(self, event_id: str, org: str | None = None) -> AuditEvent:
        """Give one record; ``org`` is for operators, as in a search."""
        log_id = self._readable(org, READ)
        await self._note_reading(log_id)
        return await self._one(event_id, log_id)

    async def export(self, query: AuditQuery) -> AsyncGenerator[AuditRecord]:
        """Give every matching record verbatim, in the order of writing, with the details that still open.

        Page size and cursor of the query are ignored. The export is recorded before its first record.
        """
        log_id = self._readable(query.org, EXPORT)
        asked = query.model_dump(mode="json", exclude_none=True, exclude={"limit", "cursor", "ip", "org"})
        await self._note("audit.exported", log_id, asked)
        macs, after = self._ip_macs(query), 0
        while True:
            async with self._database.reading() as session:
                store = AuditStore(session, log_id)
                origin = await store.origin() or log_id
                rows = await store.oldest(query, ip_macs=macs, after=after, limit=_EXPORTED_AT_ONCE)
            for record in await self._reader.records(rows, origin):
                yield record
            if len(rows) < _EXPORTED_AT_ONCE:
                return
            after = rows[-1].row.number

    async def erase_subject(self, subject_id: str, reason: str) -> int:
        """Make a person's details unreadable in every log, for good; operators only.

        Their key is dropped, so backups of the log lose them too. The records stay, and stay provable. Gives
        the number of records that lost details. ``reason`` is the legal basis, such as ``gdpr-17-1-a``.
        """
        current.require_operator()
        async with self._database.transaction() as session:
            records = await AuditWriter(session).erase(subject_id, self._clock.now())
            self._database.after_commit(lambda: self._keys.forget(subject_id))
            erased = SubjectErased(subject_id=subject_id, reason=reason, records=records)
            await self._events.announce(erased, org_id=None)
        return records

    async def drain(self) -> int:
        """Write the records that were put aside while the log could not be written; say how many."""
        return await self._recorder.drain()

    async def look_over(self, latest: int = 500) -> AuditState:
        """Look at the newest records and at what guards them; the system and operators only."""
        current.require_operator()
        async with self._database.reading() as session:
            writer = AuditWriter(session)
            stored, unguarded = await writer.latest(latest), await writer.unguarded()
        return AuditState(len(stored), self._reader.spoilt(stored), unguarded)

    async def _hear(self, envelope: Envelope) -> None:
        event = envelope.event
        if event is None or not event.audited:
            return
        names = [field.name for field in fields(event)]
        private = {name: envelope.data[name] for name in names if name in event.personal}
        target = event.target if event.target not in event.personal else None
        user_id = envelope.data.get("user_id")
        draft = self._draft(
            event.name,
            target=(event.name.rpartition(".")[0], envelope.data[target] if target else None),
            outcome=event.outcome,
            changes={name: envelope.data[name] for name in names if name not in private},
            personal={name: value for name, value in private.items() if value is not None},
            subject=user_id if isinstance(user_id, str) else None,
            log_id=envelope.tenant_id or PLATFORM,
        )
        await self._recorder.add(draft, current.origin)

    def _draft(
        self,
        action: str,
        *,
        target: tuple[str | None, Any],
        outcome: Outcome,
        changes: Mapping[str, Any],
        personal: Mapping[str, Any],
        subject: str | None,
        log_id: str | None = None,
    ) -> Draft:
        caller, origin = current.anyone, current.origin
        actor_type, actor_id, on_behalf_of = _actor(caller)
        now = self._clock.now()
        # Strangers share a key a month, so that their addresses can be dropped as they age.
        asker = (caller and (caller.actor_id or caller.user_id)) or subject or f"{ANONYMOUS}:{now:%Y-%m}"
        details = [Detail(subject or asker, name, value) for name, value in personal.items()]
        details += [Detail(asker, name, value) for name, value in _seen(origin) if name not in personal]
        target_type, target_id = target
        return Draft(
            id=ids.new("aud"),
            log_id=log_id or (caller and caller.org_id) or PLATFORM,
            time=now,
            action=action,
            actor_type=actor_type,
            actor_id=tidy(actor_id, 100),
            on_behalf_of=on_behalf_of,
            target_type=tidy(target_type, 100),
            target_id=None if target_id is None else tidy(str(target_id), 200),
            outcome=outcome,
            request_id=tidy(origin.request_id, 200) if origin else None,
            session_id=caller.session_id if caller else None,
            method=tidy(origin.method, 16) if origin else None,
            path=tidy_path(origin.path) if origin else None,
            ip=tidy(origin.ip, _IP) if origin else None,
            changes=changes,
            details=details,
        )

    async def _one(self, event_id: str, log_id: str) -> AuditEvent:
        async with self._database.reading() as session:
            stored = await AuditStore(session, log_id).find(event_id)
        if stored is None:
            raise UnknownAuditEvent(event_id=event_id)
        return (await self._reader.events([stored]))[0]

    def _ip_macs(self, query: AuditQuery) -> Sequence[str] | None:
        return None if query.ip is None else ip_macs(self._keyring, query.ip)

    async def _note_reading(self, log_id: str) -> None:
        reader, now = (current.caller.id, log_id), self._clock.monotonic()
        if now < self._readers.get(reader, 0.0):
            return
        if len(self._readers) >= _READERS_REMEMBERED:
            self._readers.clear()
        await self._note("audit.read", log_id, {})
        self._readers[reader] = now + _READ_SECONDS

    async def _note(self, action: str, log_id: str, changes: Mapping[str, Any]) -> None:
        draft = self._draft(
            action,
            target=("audit", log_id),
            outcome="success",
            changes=changes,
            personal={},
            subject=None,
            log_id=log_id,
        )
        await self._recorder.add(draft, current.origin)

    def _readable(self, org: str | None, permission: Permission) -> str:
        caller = current.caller
        mighty = caller.operator or caller.kind == "system"
        if mighty and (org is not None or caller.org_id is None):
            return org or PLATFORM
        if org is not None and org != current.org_id:
            current.require_operator()
        current.require(permission)
        return current.org_id


def _actor(caller: Caller | None) -> tuple[str, str | None, str | None]:
    """Say who acted, and whose account they used if that is another's."""
    if caller is None:
        return ANONYMOUS, None, None
    if caller.actor_id:
        return "user", caller.actor_id, caller.user_id or caller.id
    return caller.kind, caller.id, caller.user_id if caller.user_id != caller.id else None


def _seen(origin: Origin | None) -> Iterator[tuple[str, str]]:
    """Name what a request shows of the person behind it."""
    if origin and (ip := tidy(origin.ip, _IP)):
        yield "ip", ip
    if origin and (user_agent := tidy(origin.user_agent, _USER_AGENT)):
        yield "user_agent", user_agent
