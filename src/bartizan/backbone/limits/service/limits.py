"""Rules of limits: which hold for whom, and who may change them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Literal

from bartizan.backbone.events import Envelope, Events
from bartizan.backbone.limits.errors import (
    LimitTooWide,
    TooManyLimits,
    TooManyRequests,
    UnknownLimit,
)
from bartizan.backbone.limits.events import LimitChanged, LimitRemoved
from bartizan.backbone.limits.settings import LimitsSettings
from bartizan.backbone.limits.store import EveryLimit, LimitStore
from bartizan.backbone.limits.tables import LimitRow
from bartizan.backbone.limits.types import (
    CALLERS,
    STRANGERS,
    Bucket,
    Limit,
    NewLimit,
    OrgId,
    Scope,
    ScopeAsked,
    Shared,
    Since,
    TargetAsked,
    Verdict,
    Violation,
)
from bartizan.foundation import ids, pages
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller, Permission, current
from bartizan.foundation.database import Database
from bartizan.foundation.settings import Rate
from bartizan.foundation.telemetry import Metrics, logger

from .asking import OF_THE_WHOLE, as_limit, checked_target, counted_address, meant
from .memory import Memory
from .overrides import Overrides, Own
from .routes import Routes
from .sharing import Sharing
from .violations import Violations

How = Literal["cookie", "bearer", "key"]

READ = Permission("limits:read", "See the limits of the organization, and what they refused")
WRITE = Permission("limits:write", "Set limits for people, keys and routes of the organization")

_SCOPES: Sequence[Scope] = ("organization", "browser", "user", "key", "route", "address")
_LOOK_SECONDS = 1.0
_FLUSH_EVERY = 5

_log = logger(__name__)


class Limits:
    """How often callers may ask: ``bz.limits``.

    The gate asks :meth:`buckets_of` once when it learns a caller, then :meth:`take` at every request, or
    :meth:`take_shared` where :attr:`shared`.
    """

    def __init__(
        self,
        database: Database,
        events: Events,
        settings: LimitsSettings | None = None,
        *,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
        shared: Shared | None = None,
        seconds: float = 2.0,
    ) -> None:
        """Count in ``shared``, or in this process; ``seconds``: how old a limit set elsewhere may be."""
        self._database = database
        self._events = events
        self._settings = settings = settings or LimitsSettings()
        self._clock = clock = clock or Clock()
        self._memory = Memory(
            clock, most_callers=settings.most_callers, most_addresses=settings.most_addresses
        )
        closed = [scope for scope in _SCOPES if getattr(settings.on_failure, scope) == "closed"]
        self._sharing = (
            Sharing(shared, self._memory, closed=closed, clock=clock, metrics=metrics) if shared else None
        )
        self.shared = shared is not None
        """Whether requests are counted for all processes together, by :meth:`take_shared`."""
        self._routes = Routes(settings.routes)
        self._overrides = Overrides(database, clock, seconds=seconds)
        self._violations = Violations(database, events, settings, clock)
        self._refused = metrics and metrics.counter(
            "limits_refused", "Requests refused by limits.", ["scope"]
        )
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        events.within("organization.deleted", self._organization_gone)

    # For the gate

    async def buckets_of(
        self, caller: Caller, how: How, *, own_rate: int | None = None
    ) -> tuple[Bucket, ...]:
        """Give what every request of a caller is counted in: ask once, and remember it with the caller.

        ``own_rate`` is what an API key was issued with, in requests a minute.
        """
        if not self._settings.enabled or caller.kind == "system":
            return ()
        org_id, settings = caller.org_id, self._settings
        own = Own() if org_id is None else await self._overrides.of(org_id)
        user_id = caller.user_id
        if how == "cookie":
            rate = own.rate("browser") or settings.browser
            return (Bucket("browser", user_id or caller.id, rate, org_id=org_id, shelf=CALLERS),)
        buckets: list[Bucket] = []
        if org_id is not None:
            rate = own.rate("organization") or settings.organization
            buckets.append(Bucket("organization", org_id, rate, org_id=org_id))
        if user_id is not None:
            rate = own.rate("user", user_id) or settings.user
            buckets.append(Bucket("user", user_id, rate, org_id=org_id))
        if caller.kind == "key":
            of_key = own.rate("key", caller.id) or settings.key
            issued = None if own_rate is None else Rate(own_rate, 60)
            if of_key and issued:
                of_key = of_key.tighter(issued)
            if rate_of_key := of_key or issued:
                buckets.append(Bucket("key", caller.id, rate_of_key, org_id=org_id))
        return tuple(buckets)

    def address_bucket(self, address: str | None) -> tuple[Bucket, ...]:
        """Give what a request without a valid credential is counted in; of IPv6 a whole /64 is one."""
        if not self._settings.enabled:
            return ()
        return (Bucket("address", counted_address(address), self._settings.address, shelf=STRANGERS),)

    @property
    def by_route(self) -> bool:
        """Whether any route has a limit, so that :meth:`route_buckets` has to be asked."""
        return bool(self._routes) or self._overrides.any_route

    def route_buckets(
        self, method: str, path: str, caller: Caller | None, address: str | None = None
    ) -> tuple[Bucket, ...]:
        """Give what a request is counted in because of its route: mostly nothing, at most two.

        A person is one, whatever keys they use; without a caller the address counts.
        """
        org_id = caller.org_id if caller else None
        theirs = self._overrides.routes(org_id) if org_id else None
        if not (self._routes or theirs) or not self._settings.enabled:
            return ()
        if caller is not None and caller.kind == "system":
            return ()
        if caller is None:
            who, shelf = counted_address(address), STRANGERS
        else:
            who, shelf = caller.user_id or caller.id, CALLERS
        found = [self._routes.find(method, path), theirs.find(method, path) if theirs else None]
        buckets = [
            Bucket("route", route, rate, org_id=org_id, who=f"{place}:{who}", shelf=shelf)
            for place, (route, rate) in enumerate(filter(None, found))
        ]
        return tuple(buckets)

    def take(self, buckets: tuple[Bucket, ...]) -> Verdict:
        """Take one from every bucket, or nothing from any; counted in this process."""
        verdict = self._memory.take(buckets)
        if verdict.refused is not None:
            self._note(verdict.refused)
        return verdict

    async def take_shared(self, buckets: tuple[Bucket, ...]) -> Verdict:
        """Take one from every bucket, or nothing from any; counted for all processes together.

        While Redis is gone: counted in this process, or refused with ``LimitsUnavailable`` where a limit is
        set to ``closed``.
        """
        if not buckets or self._sharing is None:
            return self.take(buckets)
        verdict = await self._sharing.take(buckets)
        if verdict.refused is not None:
            self._note(verdict.refused)
        return verdict

    def refusal(self, verdict: Verdict) -> TooManyRequests:
        """Say no: the facts of the 429, which goes out with :meth:`Verdict.headers`."""
        bucket = verdict.refused
        assert bucket is not None
        seconds = verdict.retry_after
        message = f"The limit of this {bucket.name} is {bucket.rate}. Try again in {seconds} s."
        return TooManyRequests(
            message,
            error="rate_limit_exceeded",
            retry_after=seconds,
            limit=bucket.rate.burst,
            remaining=0,
            rate=str(bucket.rate),
            scope=bucket.name,
        )

    # Around the day

    @property
    def degraded(self) -> bool:
        """Whether Redis should count and does not answer."""
        return self._sharing is not None and self._sharing.degraded

    async def start(self) -> None:
        """Begin to write down refusals, and to look for Redis while it is gone."""
        if self._task is None:
            self._closing = asyncio.Event()
            self._task = asyncio.create_task(self._run(self._closing), name="bartizan limits")

    async def stop(self) -> None:
        """Write down what waits, and let go of Redis."""
        if self._task is not None:
            self._closing.set()  # not cancelled: what is being written shall be written once
            await self._task
            self._task = None
            await self._quietly_flush()
        if self._sharing is not None:
            await self._sharing.close()

    async def flush(self) -> None:
        """Write down the refusals that wait in memory, and announce what is much."""
        self._memory.tidy()
        await self._violations.flush()

    async def look(self) -> None:
        """Look for Redis if it is gone, and announce that it went or came back."""
        if self._sharing is None or not (news := await self._sharing.look()):
            return
        try:
            with current.as_system(name="limits"):
                async with self._database.transaction():
                    for event in news:
                        await self._events.announce(event, org_id=None)
        except Exception:
            self._sharing.put_back(news)
            raise

    async def _run(self, closing: asyncio.Event) -> None:
        for turn in count(1):
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await closing.wait()
            if closing.is_set():
                return
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - the next turn tries again
                _log.warning("what became of Redis could not be announced", error=str(error))
            if turn % _FLUSH_EVERY == 0:
                await self._quietly_flush()

    async def _quietly_flush(self) -> None:
        try:
            await self.flush()
        except Exception as error:  # noqa: BLE001 - they go on waiting
            _log.warning("refusals could not be written down", error=str(error))

    def _note(self, bucket: Bucket) -> None:
        if self._refused:
            self._refused.add(bucket.name)
        self._violations.note(bucket)

    # Keeping limits

    async def list(self, org_id: OrgId = None) -> Sequence[Limit]:
        """List the limits of the organization: those from the settings, and those set for it."""
        org = meant(org_id, READ)
        with current.in_organization(org):
            async with self._database.reading() as session:
                rows = await LimitStore(session, org).all()
        found = [as_limit(row) for row in rows]
        whole = {limit.scope for limit in found if limit.target is None}
        given: list[tuple[Scope, str | None, Rate | None]] = [
            ("organization", None, self._settings.organization),
            ("browser", None, self._settings.browser),
            ("user", None, self._settings.user),
            ("key", None, self._settings.key),
            *(("route", route, rate) for route, rate in self._settings.routes.items()),
        ]
        return [
            *(
                Limit(id=None, scope=scope, target=target, rate=rate)
                for scope, target, rate in given
                if rate is not None and scope not in whole
            ),
            *found,
        ]

    async def set(self, new: NewLimit, org_id: OrgId = None) -> Limit:
        """Set a limit in the place of the default; it holds at once here, within five seconds everywhere.

        What the whole organization may is for operators. To its people, keys and routes it gives no more
        than it has itself; a route's limit adds to those of the settings.
        """
        org = meant(org_id, WRITE)
        target = checked_target(new.scope, new.target)
        if new.scope in OF_THE_WHOLE:
            current.require_operator()
        with current.in_organization(org):
            async with self._database.transaction() as session:
                store = LimitStore(session, org)
                await self._check_width(store, new)
                row = await store.of(new.scope, target)
                before = row.rate if row else None
                if row is None:
                    if await store.count() >= self._settings.most_overrides:
                        raise TooManyLimits(limit=self._settings.most_overrides)
                    row = LimitRow(id=ids.new("lim"), org_id=org, scope=new.scope, target=target)
                row.rate = str(new.rate)
                row.set_by = current.caller.user_id
                row.updated_at = self._clock.now()
                await (store.add(row) if before is None else store.save())
                event = LimitChanged(
                    limit_id=row.id, scope=row.scope, subject=target or None, rate=row.rate, before=before
                )
                await self._events.announce(event, org_id=org)
                self._forget(org)
        return as_limit(row)

    async def remove(self, limit_id: str, org_id: OrgId = None) -> None:
        """Take a limit away, so that the one from the settings holds again."""
        org = meant(org_id, WRITE)
        with current.in_organization(org):
            async with self._database.transaction() as session:
                store = LimitStore(session, org)
                row = await store.find(limit_id)
                if row is None:
                    raise UnknownLimit(limit_id=limit_id[:30])
                if row.scope in OF_THE_WHOLE:
                    current.require_operator()
                await store.delete(row)
                event = LimitRemoved(
                    limit_id=row.id, scope=row.scope, subject=row.target or None, rate=row.rate
                )
                await self._events.announce(event, org_id=org)
                self._forget(org)

    async def violations(
        self,
        scope: ScopeAsked = None,
        target: TargetAsked = None,
        since: Since = None,
        *,
        limit: pages.Limit = 50,
        cursor: pages.Cursor = None,
        org_id: OrgId = None,
    ) -> pages.Page[Violation]:
        """List what limits refused, by limit and minute, the newest first.

        Operators who act for no organization see what requests without a credential were refused.
        """
        org = meant(org_id, READ, platform=True)
        await self.flush()
        before = pages.decode(cursor)[0] if cursor else None
        with current.in_organization(org):
            async with self._database.reading() as session:
                rows = await LimitStore(session, org).violations(scope, target, since, before, limit + 1)
        found, following = pages.cut(rows, limit, lambda row: [row.id])
        return pages.Page(items=[Violation.model_validate(row) for row in found], next=following)

    async def _check_width(self, store: LimitStore, new: NewLimit) -> None:
        caller = current.caller
        if caller.operator or caller.kind == "system":
            return
        row = await store.of("organization", "")
        most = Rate.parse(row.rate) if row else self._settings.organization
        if not new.rate.within(most):
            message = f"The organization itself has {most}: choose no more than that."
            raise LimitTooWide(message, field="rate", most=str(most))

    def _forget(self, org_id: str) -> None:
        """Remember nothing of the organization's limits, now and again once the change has committed."""
        self._overrides.drop(org_id)
        self._database.after_commit(lambda: self._overrides.drop(org_id))

    async def _organization_gone(self, envelope: Envelope) -> None:
        org_id = str(envelope.data["org_id"])
        await EveryLimit(self._database).drop(org_id)
        self._forget(org_id)
