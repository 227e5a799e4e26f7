"""Rules of announcing and listening."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import fields
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from bartizan.foundation import ids
from bartizan.foundation.capability import Compliance, Event
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Permission, current
from bartizan.foundation.database import Database
from bartizan.foundation.pages import Cursor, InvalidCursor, Limit, Page, cut, decode
from bartizan.foundation.telemetry import logger

from .errors import UnknownEvent
from .store import EventStore, EventWriter
from .types import PLATFORM, Envelope, Interest, RecordedEvent, Subscription, Where, plain

READ = Permission("events:read", "See the facts that were announced")

Within = Callable[[Envelope], Awaitable[None]]
Listener = Callable[[Envelope], Awaitable[None] | None]
Pattern = Annotated[
    str | None,
    Field(
        max_length=100, description="A type such as `api_key.revoked`, or `api_key.*`.", examples=["user.*"]
    ),
]
Moment = Annotated[datetime | None, Field(description="A moment with a time zone (RFC 3339).")]

_log = logger(__name__)


class Events:
    """Announce a fact once, and whoever cares listens: ``bz.events``."""

    def __init__(self, database: Database, *, clock: Clock, source: str = "bartizan") -> None:
        self._database = database
        self._clock = clock
        self._source = source
        self._within: list[tuple[Interest, Within]] = []
        self._listeners: list[Subscription] = []

    async def announce(self, event: Event, *, org_id: str | Where | None = Where.CURRENT) -> Envelope:
        """Announce a fact in the caller's transaction: it is recorded if and only if that commits.

        It belongs to the caller's organization unless another is named; ``None`` stands for the platform.
        """
        async with self._database.transaction() as session:
            envelope = self._seal(event, org_id)
            # One hook for each fact: a savepoint that is undone takes its hooks, and so its facts, along.
            self._database.before_commit(partial(self._collect, session.info, envelope))
            for interest, handler in tuple(self._within):
                if interest.covers(envelope):
                    await handler(envelope)
        return envelope

    def within(self, wanted: str | type[Event], handler: Within) -> None:
        """Call ``handler`` inside the announcing transaction, at once; its failure undoes the whole of it."""
        self._within.append((Interest.of(wanted), handler))

    def listen(
        self,
        wanted: str | type[Event],
        handler: Listener,
        *,
        org_id: str | None = None,
        compliance: Compliance | Collection[Compliance] | None = None,
    ) -> Subscription:
        """Call ``handler`` in this process after each commit, in the order of announcing.

        ``wanted`` is an event class, a type, or a pattern such as ``recording.*``; ``org_id`` and
        ``compliance`` narrow it. The announcer waits for it, so be brief; what it raises is logged and
        hurts nobody. What must survive a crash, or be heard from another process, is a job: ``jobs.on``.
        """
        subscription = Subscription(Interest.of(wanted, org_id, compliance), handler, self._forget)
        self._listeners.append(subscription)
        return subscription

    async def first_time(self, consumer: str, event_id: str) -> bool:
        """Tell a consumer whether it sees this event for the first time, and remember it.

        Call it in the transaction that does the work: if that rolls back, the event counts as unseen.
        """
        async with self._database.transaction() as session:
            return await EventWriter(session).see(consumer, event_id, self._clock.now())

    async def list(
        self,
        type: Pattern = None,  # noqa: A002 - the buyer's word, and a query parameter
        since: Moment = None,
        until: Moment = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[RecordedEvent]:
        """List what happened in this organization, newest first; operators without one see the platform's."""
        stream = self._readable()
        before = None
        if cursor is not None:
            [text] = decode(cursor)
            if not text.isdecimal():
                raise InvalidCursor(field="cursor")
            before = int(text)
        async with self._database.reading() as session:
            rows = await EventStore(session, stream).newest(
                pattern=type, since=since, until=until, before=before, limit=limit + 1
            )
        items, following = cut(rows, limit, lambda event: [event.sequence])
        return Page(items=items, next=following)

    async def after(self, sequence: int, limit: Limit = 50) -> Sequence[RecordedEvent]:
        """Give the facts that follow a sequence number, in order: a cursor that can lose nothing."""
        stream = self._readable()
        async with self._database.reading() as session:
            return await EventStore(session, stream).after(sequence, limit)

    async def get(self, event_id: str) -> RecordedEvent:
        """Give one fact of this organization."""
        stream = self._readable()
        async with self._database.reading() as session:
            event = await EventStore(session, stream).find(event_id)
        if event is None:
            raise UnknownEvent(event_id=event_id)
        return event

    async def prune(self, before: datetime) -> int:
        """Delete facts older than a moment from every stream and say how many; operators only."""
        current.require_operator()
        async with self._database.transaction() as session:
            return await EventWriter(session).prune(before)

    def _readable(self) -> str:
        caller = current.caller
        if caller.org_id is None and (caller.operator or caller.kind == "system"):
            return PLATFORM
        current.require(READ)
        return current.org_id

    def _seal(self, event: Event, org_id: str | Where | None) -> Envelope:
        caller, origin = current.anyone, current.origin
        metadata: dict[str, Any] = {}
        if caller:
            metadata = {"caller": caller.id, "kind": caller.kind}
            if caller.actor_id:
                metadata["actor"] = caller.actor_id
        if event.target:
            metadata["subject"] = plain(getattr(event, event.target))
        if isinstance(org_id, Where):
            org_id = caller.org_id if caller else None
        return Envelope(
            id=ids.new("evt"),
            type=event.name,
            source=self._source,
            tenant_id=org_id,
            user_id=caller.user_id if caller else None,
            timestamp=self._clock.now(),
            data={field.name: plain(getattr(event, field.name)) for field in fields(event)},
            correlation_id=origin.request_id if origin else None,
            compliance_level=event.compliance,
            metadata=metadata,
            event=event,
        )

    def _collect(self, kept: dict[Any, Any], envelope: Envelope) -> None:
        pending: list[Envelope] = kept.setdefault(self, [])
        if not pending:
            self._database.before_commit(self._last)
        pending.append(envelope)

    def _last(self) -> None:
        # The head row makes the writers of one organization take turns until the commit, so step behind every
        # hook that is waiting already.
        self._database.before_commit(self._write)

    async def _write(self) -> None:
        async with self._database.transaction() as session:
            envelopes = await EventWriter(session).record(session.info.pop(self))
        self._database.after_commit(lambda: self._tell(envelopes))

    async def _tell(self, envelopes: Sequence[Envelope]) -> None:
        for envelope in envelopes:
            for subscription in tuple(self._listeners):
                if subscription not in self._listeners or not subscription.interest.covers(envelope):
                    continue
                try:
                    if (waiting := subscription.handler(envelope)) is not None:
                        await waiting
                except Exception:  # noqa: BLE001 - whatever it is, it is logged and the others go on
                    _log.exception("a listener failed", event_type=envelope.type, event_id=envelope.id)

    def _forget(self, subscription: Subscription) -> None:
        if subscription in self._listeners:
            self._listeners.remove(subscription)
