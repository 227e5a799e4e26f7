"""The house itself: every room, built once, bottom floor first."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Unpack

from pydantic import Field

from bartizan.access.api_keys import ApiKeys
from bartizan.access.idempotency import Idempotency
from bartizan.access.identity import EmailTaken, Identity, PreparedUser
from bartizan.access.ip_allowlist import IpAllowlist
from bartizan.access.orgs import NewOrganization, Orgs
from bartizan.access.rbac import Rbac
from bartizan.access.sessions import Sessions
from bartizan.backbone.audit import Audit
from bartizan.backbone.email import Email, provider
from bartizan.backbone.events import Envelope, Events
from bartizan.backbone.jobs import Jobs, Worker
from bartizan.backbone.limits import Limits, shared
from bartizan.backbone.preferences import Preference, PreferenceChange, Preferences, Where
from bartizan.backbone.secrets import Secrets
from bartizan.backbone.usage import Usage
from bartizan.foundation.capability import Check
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller, current
from bartizan.foundation.crypto import Keyring, SigningKeys
from bartizan.foundation.database import Adoption, Database, Engines, Terms, Wakeups
from bartizan.foundation.errors import BartizanError, Unavailable
from bartizan.foundation.http import Outbound
from bartizan.foundation.settings import (
    check_production,
    load,
    secret_keys,
)
from bartizan.foundation.telemetry import Metrics, set_up_logs

from .inventory import ACCESS_CHANGES, APP, CAPABILITIES, NEWCOMERS
from .settings import Settings

_MAINTENANCE = "platform.maintenance"
_STAND_IN = "developer@bartizan.invalid"


class Maintenance(Unavailable):
    """The application is closed for maintenance for a while."""


class Bartizan:
    """The enterprise layer, ready to use: ``await bz.api_keys.issue(...)``.

    ``settings`` are given, or read from the environment, ``.env`` and ``bartizan.toml`` in the current
    folder; a mapping overrides single ones. Raises ``InvalidSettings``, which names each wrong setting and
    its cure.
    """

    def __init__(
        self, settings: Settings | Mapping[str, Any] | None = None, *, clock: Clock | None = None
    ) -> None:
        """Build every room; nothing is opened yet."""
        if not isinstance(settings, Settings):
            settings = load(Settings, overrides=settings or {}).settings
        check_production(settings)
        self.settings = given = settings
        self.clock = clock = clock or Clock()
        self.metrics = Metrics()
        self.keyring = keyring = Keyring(secret_keys(given))
        self.database = database = Database(
            given.database, given.database_options, production=given.production
        )
        self.wakeups = Wakeups(
            database,
            redis=given.redis,
            channel=keyring.mac("wake-ups", b"channel").hex()[:16],
            every=given.database_options.look_for_news,
        )
        self.adoption = Adoption()
        self.signing_keys = SigningKeys(
            database, keyring, clock=clock, issuer=given.pages, audience=given.pages, settings=given.crypto
        )
        self.outbound = Outbound(given.http, clock=clock, metrics=self.metrics)
        # backbone
        self.events = events = Events(database, clock=clock)
        self.audit = Audit(database, events, keyring, given.audit, clock=clock)
        self.jobs = Jobs(database, events, given.jobs, clock=clock, metrics=self.metrics)
        self.secrets = Secrets(database, events, keyring, given.secrets, clock=clock)
        self.preferences = Preferences(database, events, clock=clock)
        self.limits = Limits(
            database,
            events,
            given.limits,
            clock=clock,
            metrics=self.metrics,
            shared=shared(given.redis, given.limits),
            seconds=5.0 - given.guard.caller_ttl,
        )
        self.email = Email(
            database,
            events,
            self.jobs,
            keyring,
            self.preferences,
            settings=given.email,
            provider=provider(given.email),
            clock=clock,
        )
        self.usage = Usage(
            database,
            events,
            given.usage,
            clock=clock,
            metrics=self.metrics,
            allowances=self._allowances,
        )
        # access
        self.identity = Identity(
            database,
            events,
            given.identity,
            email=self.email,
            outbound=self.outbound,
            clock=clock,
            pages=given.pages,
            production=given.production,
        )
        self.rbac = Rbac(database, events, clock=clock, settings=given.rbac)
        self.orgs = Orgs(
            database,
            events,
            rbac=self.rbac,
            people=self.identity,
            post=self.email,
            clock=clock,
            settings=given.orgs,
            base_url=given.pages,
        )
        self.sessions = Sessions(
            database,
            events,
            identity=self.identity,
            rbac=self.rbac,
            orgs=self.orgs,
            keyring=keyring,
            signing_keys=self.signing_keys,
            settings=given.sessions,
            clock=clock,
            email=self.email,
            pages=given.pages,
            secure_cookies=given.secure_cookies,
        )
        self.api_keys = ApiKeys(
            database,
            events,
            rbac=self.rbac,
            orgs=self.orgs,
            keyring=keyring,
            clock=clock,
            settings=given.api_keys,
        )
        self.ip_allowlist = IpAllowlist(
            database,
            events,
            audit=self.audit,
            identity=self.identity,
            rbac=self.rbac,
            orgs=self.orgs,
            sessions=self.sessions,
            clock=clock,
            settings=given.ip_allowlist,
        )
        self.idempotency = Idempotency(database, keyring, given.idempotency, clock=clock)
        self.checks = list[Check]()
        """What an application wants ``bartizan doctor`` to look at besides; each takes this house."""
        self.started = False
        self._stand_in: Caller | None = None
        self._undo_logs: Callable[[], None] | None = None
        self._hooks: list[Callable[[], None]] = []
        self._probes: dict[str, Callable[[], Awaitable[bool]]] = {}
        self._crew: Worker | None = None
        self._crew_task: asyncio.Task[None] | None = None
        self._furnish()

    async def _allowances(self, org_ids: Collection[str]) -> Mapping[str, Mapping[str, int | None]]:
        """Tell a room below what the plans of a room above allow."""
        return await self.orgs.plans.allowances(org_ids)

    def _furnish(self) -> None:
        """Tell the rooms what the inventories say: permissions, jobs, and who hears of changes."""
        self.rbac.declare(*APP)
        self.jobs.handler("crypto.rotate", _bound(SigningKeys.rotate_if_due, self.signing_keys))
        self.jobs.schedule("crypto.rotate", cron="5 3 * * *", kind="crypto.rotate")
        for capability in CAPABILITIES:
            self.rbac.declare(*capability.permissions)
            for kind, method in (capability.jobs or {}).items():
                if kind in self.jobs.handlers:
                    continue  # a room that is built with the jobs has seen to it
                self.jobs.handler(kind, _bound(method, getattr(self, capability.name)))
                self.jobs.schedule(kind, cron=f"{len(kind) % 60} * * * *", kind=kind)
        self.preferences.declare(
            Preference(
                key=_MAINTENANCE,
                type=Annotated[str | None, Field(max_length=300)],
                default=None,
                description="While set, only operators reach the app; everyone else is told this.",
                levels=frozenset({"global"}),
            )
        )
        for pattern in ACCESS_CHANGES:
            self.events.listen(pattern, self._access_changed)
        self.ip_allowlist.on_change(self._forget_callers)
        self.wakeups.listen("access", self._access_changed_elsewhere)
        self.wakeups.listen("jobs", self.jobs.rouse)
        self.jobs.tell = partial(self.wakeups.announce, "jobs", counted=False)

    async def start(self, *, embedded: bool | None = None) -> None:
        """Open the house: migrate or check the tables, look at the walls, start the worker.

        ``embedded`` runs a worker in this process; by default the setting ``BARTIZAN_EMBEDDED_WORKER`` says.
        Raises ``Unavailable`` when the database does not answer, and ``Fault`` when it is not safe to serve.
        """
        if self.started:
            return
        self._undo_logs = set_up_logs(self.settings.telemetry, production=self.settings.production)
        if self.settings.database_options.auto_migrate and not self.settings.production:
            await self.database.migrate()
        await self.database.check()
        await self.wakeups.start()
        await self.adoption.start()
        if not self.settings.enable_auth:
            self._stand_in = await self._admit_stand_in()
        await self.limits.start()
        await self.ip_allowlist.start()
        if self.settings.embedded_worker if embedded is None else embedded:
            self._crew = Worker(self.jobs)
            self._crew_task = asyncio.create_task(self._crew.run(), name="bartizan worker")
        await self.usage.start()
        self.started = True

    async def stop(self) -> None:
        """Close the house: running jobs finish or are given back, then every connection is let go."""
        if self._crew and self._crew_task:
            self._crew.stop()
            await asyncio.wait({self._crew_task}, timeout=self.settings.jobs.grace + 10)
            if not self._crew_task.done():
                self._crew_task.cancel()
                with suppress(asyncio.CancelledError):
                    await self._crew_task
        self._crew = self._crew_task = None
        if self.started:
            await self.api_keys.flush()
            await self.usage.stop()
            await self.ip_allowlist.stop()
        await self.wakeups.stop()
        await self.idempotency.close()
        self.started = False
        await self.limits.stop()
        await self.outbound.close()
        self.identity.close()
        await self.database.close()
        if self._undo_logs is not None:
            self._undo_logs()
            self._undo_logs = None

    def adopt(self, *models: Any, engine: Engines, **how: Unpack[Terms]) -> None:
        """Give every row of somebody else's SQLAlchemy ``models`` an owner, and keep each to its owner.

        Call it once the models are defined, before the first query: see :meth:`Adoption.adopt`.
        """
        self.adoption.adopt(*models, engine=engine, **how)

    def across_tenants(self) -> AbstractContextManager[None]:
        """Lift the walls around adopted models for a block: for the host's own jobs about all tenants."""
        return self.adoption.across_tenants()

    async def readiness(self) -> dict[str, bool]:
        """Tell what works: the database answers, and the worker runs where one should."""
        try:
            await self.database.ping()
            answers = True
        except BartizanError:
            answers = False
        checks = {"started": self.started, "database": answers, "ip_allowlist": self.ip_allowlist.fresh}
        if self._crew_task is not None:
            checks["worker"] = not self._crew_task.done()
        for name, probe in self._probes.items():
            checks[name] = await probe()
        return checks

    def on_readiness(self, name: str, probe: Callable[[], Awaitable[bool]]) -> None:
        """Ask ``probe``, too, when somebody wants to know whether requests can be served."""
        self._probes[name] = probe

    @property
    def stand_in(self) -> Caller | None:
        """Who everybody is while authentication is switched off, which production refuses."""
        if self._stand_in is None:
            return None
        return replace(self._stand_in, permissions=self.rbac.names())

    async def _admit_stand_in(self) -> Caller:
        """Make the development user with an organization of their own, unless they are there."""
        with current.as_system(name="development"):
            if await self.identity.find_by_email(_STAND_IN) is None:
                user = PreparedUser(email=_STAND_IN, full_name="Development User", password_hash=None)
                with suppress(EmailTaken):  # another process was quicker
                    async with self.database.transaction():
                        made = await self.identity.create(user, verified=True, operator=True, mail=False)
                        await self.orgs.create(NewOrganization(name="Development"), owner_id=made.id)
            known = await self.identity.find_by_email(_STAND_IN)
            assert known is not None
            return Caller(
                id=known.id,
                kind="user",
                user_id=known.id,
                org_id=await self.orgs.first_of(known.id),
                roles=frozenset({"owner"}),
                operator=True,
                email=known.email,
            )

    async def closed(self) -> Unavailable | None:
        """Give the refusal that everybody but operators meets during maintenance."""
        message = await self.preferences.get_effective(_MAINTENANCE, Where())
        return None if message is None else Maintenance(message or Maintenance.title, retry_after=60)

    async def maintain(self, message: str | None) -> None:
        """Close the app for everyone but operators with ``message``, or open it again with none."""
        await self.preferences.set(_MAINTENANCE, PreferenceChange(value=message), level="global")

    def on_access_changed(self, hook: Callable[[], None]) -> None:
        """Call ``hook`` in this process after anything that changes what somebody may do."""
        self._hooks.append(hook)

    def _access_changed(self, envelope: Envelope) -> None:
        self._forget_callers()
        if envelope.type not in NEWCOMERS:
            self.wakeups.announce("access")

    def _access_changed_elsewhere(self) -> None:
        self.sessions.forget()
        self.api_keys.forget()
        self.rbac.look_again()
        self._forget_callers()

    def _forget_callers(self) -> None:
        for hook in self._hooks:
            hook()


def _bound(method: Callable[..., Any], service: object) -> Callable[..., Any]:
    """Make a job's handler of a service method that takes nothing."""

    async def run(_payload: dict[str, Any], _job: object) -> None:
        await method(service)

    return run
