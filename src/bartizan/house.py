"""The house: every room, built once, bottom floor first."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from importlib.metadata import version
from typing import Annotated, Any, Unpack

from pydantic import Field

from bartizan.access.api_keys import ApiKeys, ApiKeysSettings
from bartizan.access.api_keys.capability import capability as api_keys
from bartizan.access.identity import EmailTaken, Identity, IdentitySettings, PreparedUser
from bartizan.access.identity.capability import capability as identity
from bartizan.access.orgs import NewOrganization, Orgs, OrgsSettings
from bartizan.access.orgs.capability import capability as orgs
from bartizan.access.rbac import Rbac, RbacSettings
from bartizan.access.rbac.capability import capability as rbac
from bartizan.access.sessions import Sessions, SessionsSettings
from bartizan.access.sessions.capability import capability as sessions
from bartizan.backbone.audit import Audit, AuditSettings
from bartizan.backbone.audit.capability import capability as audit
from bartizan.backbone.email import Email, EmailSettings, provider
from bartizan.backbone.email.capability import capability as email
from bartizan.backbone.events import Envelope, Events
from bartizan.backbone.events.capability import capability as events
from bartizan.backbone.jobs import Jobs, JobsSettings, Worker
from bartizan.backbone.jobs.capability import capability as jobs
from bartizan.backbone.preferences import Preference, PreferenceChange, Preferences, Where
from bartizan.backbone.preferences.capability import capability as preferences
from bartizan.backbone.secrets import Secrets, SecretsSettings
from bartizan.backbone.secrets.capability import capability as secrets
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller, Permission, current
from bartizan.foundation.crypto import CryptoSettings, Keyring, SigningKeys
from bartizan.foundation.database import Adoption, Database, DatabaseSettings, Engines, Terms
from bartizan.foundation.errors import BartizanError, Unavailable
from bartizan.foundation.http import HttpSettings, Outbound
from bartizan.foundation.settings import (
    BaseSettings,
    GuardSettings,
    Problem,
    check_production,
    load,
    secret_keys,
)
from bartizan.foundation.telemetry import Metrics, TelemetrySettings, set_up_logs

VERSION = version("bartizan")
CAPABILITIES = (events, audit, jobs, secrets, preferences, email, identity, rbac, orgs, sessions, api_keys)
APP = (
    Permission("app:read", "Use the application without changing anything"),
    Permission("app:write", "Change things in the application"),
)
# After any of these, somebody may do more or less than before: remembered callers are asked about anew.
ACCESS_CHANGES = (
    "session.*",
    "sessions.*",
    "user.*",
    "member.*",
    "team.*",
    "team_member.*",
    "role.*",
    "grant.*",
    "api_key.*",
    "organization.*",
    "impersonation.*",
    "password.*",
    "refresh.*",
)
_MAINTENANCE = "platform.maintenance"
_STAND_IN = "developer@bartizan.invalid"


class Settings(BaseSettings):
    """Everything an operator can turn; each field is also ``BARTIZAN_<NAME>``."""

    embedded_worker: bool = Field(default=True, description="Do jobs in the server's own process.")
    metrics_from: Sequence[str] = Field(
        default=("127.0.0.0/8", "::1/128"), description="Addresses or ranges that may read /metrics."
    )
    guard: GuardSettings = Field(default=GuardSettings(), description="The gate in front of every request.")
    database_options: DatabaseSettings = Field(
        default=DatabaseSettings(), description="The database connection."
    )
    crypto: CryptoSettings = Field(default=CryptoSettings(), description="Signing keys and tokens.")
    http: HttpSettings = Field(default=HttpSettings(), description="Calls to other servers.")
    telemetry: TelemetrySettings = Field(default=TelemetrySettings(), description="Logs, metrics, traces.")
    audit: AuditSettings = Field(default=AuditSettings(), description="The audit log.")
    jobs: JobsSettings = Field(default=JobsSettings(), description="Jobs, schedules and workers.")
    secrets: SecretsSettings = Field(default=SecretsSettings(), description="Secrets of organizations.")
    email: EmailSettings = Field(default=EmailSettings(), description="Outgoing e-mail.")
    identity: IdentitySettings = Field(default=IdentitySettings(), description="Accounts and passwords.")
    rbac: RbacSettings = Field(default=RbacSettings(), description="Roles and permissions.")
    orgs: OrgsSettings = Field(default=OrgsSettings(), description="Organizations, teams and invitations.")
    sessions: SessionsSettings = Field(default=SessionsSettings(), description="Sign-in and tokens.")
    api_keys: ApiKeysSettings = Field(default=ApiKeysSettings(), description="API keys.")

    @property
    def secure_cookies(self) -> bool:
        """Whether people come over TLS, so that cookies can insist on it."""
        return self.base_url.startswith("https://")

    @property
    def pages(self) -> str:
        """Address of our own pages, as people reach them."""
        return self.base_url + self.mount

    def unsafe(self) -> Sequence[Problem]:
        """Refuse addresses without TLS, besides what every installation refuses."""
        found = list(super().unsafe())
        if not self.secure_cookies:
            cure = "Give the https:// address that people use."
            found.append(
                Problem("base_url", "It has no TLS, so session cookies could be read on the way.", cure)
            )
        return found


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
        self.started = False
        self._stand_in: Caller | None = None
        self._undo_logs: Callable[[], None] | None = None
        self._hooks: list[Callable[[], None]] = []
        self._crew: Worker | None = None
        self._crew_task: asyncio.Task[None] | None = None
        self._furnish()

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
        await self.adoption.start()
        if not self.settings.enable_auth:
            self._stand_in = await self._admit_stand_in()
        if self.settings.embedded_worker if embedded is None else embedded:
            self._crew = Worker(self.jobs)
            self._crew_task = asyncio.create_task(self._crew.run(), name="bartizan worker")
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
        self.started = False
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
        checks = {"started": self.started, "database": answers}
        if self._crew_task is not None:
            checks["worker"] = not self._crew_task.done()
        return checks

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

    def _access_changed(self, _envelope: Envelope) -> None:
        for hook in self._hooks:
            hook()


def _bound(method: Callable[..., Any], service: object) -> Callable[..., Any]:
    """Make a job's handler of a service method that takes nothing."""

    async def run(_payload: dict[str, Any], _job: object) -> None:
        await method(service)

    return run
