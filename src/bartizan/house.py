"""The house: every room, built once, bottom floor first."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import Field

from bartizan.access.api_keys import ApiKeys, ApiKeysSettings
from bartizan.access.api_keys.capability import capability as api_keys
from bartizan.access.identity import Identity, IdentitySettings
from bartizan.access.identity.capability import capability as identity
from bartizan.access.orgs import Orgs, OrgsSettings
from bartizan.access.orgs.capability import capability as orgs
from bartizan.access.rbac import Rbac, RbacSettings
from bartizan.access.rbac.capability import capability as rbac
from bartizan.access.sessions import Sessions, SessionsSettings
from bartizan.access.sessions.capability import capability as sessions
from bartizan.backbone.audit import Audit, AuditSettings
from bartizan.backbone.audit.capability import capability as audit
from bartizan.backbone.email import Email, EmailSettings
from bartizan.backbone.email.capability import capability as email
from bartizan.backbone.events import Events
from bartizan.backbone.events.capability import capability as events
from bartizan.backbone.jobs import Jobs, JobsSettings, Worker
from bartizan.backbone.jobs.capability import capability as jobs
from bartizan.backbone.preferences import Preferences
from bartizan.backbone.preferences.capability import capability as preferences
from bartizan.backbone.secrets import Secrets, SecretsSettings
from bartizan.backbone.secrets.capability import capability as secrets
from bartizan.foundation.clock import Clock
from bartizan.foundation.crypto import Keyring, SigningKeys
from bartizan.foundation.database import Database, DatabaseSettings
from bartizan.foundation.errors import BartizanError
from bartizan.foundation.http import HttpSettings, Outbound
from bartizan.foundation.settings import BaseSettings, check_production, load, secret_keys
from bartizan.foundation.settings.guard import GuardSettings
from bartizan.foundation.telemetry import Metrics, TelemetrySettings, logger

CAPABILITIES = (events, audit, jobs, secrets, preferences, email, identity, rbac, orgs, sessions, api_keys)


class Settings(BaseSettings):
    """Everything an operator can turn; each field is also ``BARTIZAN_<NAME>``."""

    guard: GuardSettings = Field(default=GuardSettings(), description="The gate in front of every request.")
    database_options: DatabaseSettings = Field(default=DatabaseSettings(), description="The database connection.")
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

    def unsafe(self) -> Sequence[Problem]:
        """Refuse addresses without TLS, besides what every installation refuses."""
        found = list(super().unsafe())
        if not self.secure_cookies:
            cure = "Give the https:// address that people use."
            found.append(Problem("base_url", "It has no TLS, so session cookies could be read on the way.", cure))
        return found


class Bartizan:
    """The enterprise layer, ready to use: ``await bz.api_keys.create(...)``.

    ``settings`` are given, or read from the environment, ``.env`` and ``bartizan.toml`` in the current folder;
    a mapping overrides single ones. Raises ``InvalidSettings``, which names each wrong setting and its cure.
    """

    def __init__(self, settings: Settings | Mapping[str, Any] | None = None, *, clock: Clock | None = None) -> None:
        """Build every room; nothing is opened yet."""
        if isinstance(settings, Settings):
            self.settings, self.sources = settings, dict[str, str]()
        else:
            loaded = load(Settings, overrides=settings or {})
            self.settings, self.sources = loaded.settings, dict(loaded.sources)
        check_production(self.settings)
        given = self.settings
        self.clock = clock or Clock()
        # foundation
        self.metrics = Metrics()
        self.database = Database(given.database, given.database_options)
        self.keyring = Keyring(secret_keys(given))
        self.signing_keys = SigningKeys(
            self.database, self.keyring, given.crypto, clock=self.clock, issuer=given.base_url + given.mount
        )
        self.outbound = Outbound(given.http)
        # backbone
        self.events = Events(self.database, clock=self.clock)
        self.audit = Audit(self.database, self.events, self.keyring, given.audit, clock=self.clock)
        self.jobs = Jobs(self.database, self.events, given.jobs, clock=self.clock)
        self.secrets = Secrets(self.database, self.events, self.keyring, given.secrets, clock=self.clock)
        self.preferences = Preferences(self.database, self.events, clock=self.clock)
        self.email = Email(
            self.database, self.events, self.jobs, self.keyring, self.preferences, given.email, clock=self.clock
        )
        # access
        self.identity = Identity(
            self.database, self.events, self.email, self.keyring, given.identity, clock=self.clock
        )
        self.rbac = Rbac(self.database, self.events, clock=self.clock, settings=given.rbac)
        self.orgs = Orgs(
            self.database,
            self.events,
            rbac=self.rbac,
            people=self.identity,
            post=self.email,
            clock=self.clock,
            settings=given.orgs,
        )
        self.sessions = Sessions(
            self.database,
            self.events,
            identity=self.identity,
            rbac=self.rbac,
            orgs=self.orgs,
            keyring=self.keyring,
            signing_keys=self.signing_keys,
            settings=given.sessions,
            clock=self.clock,
        )
        self.api_keys = ApiKeys(
            self.database,
            self.events,
            rbac=self.rbac,
            orgs=self.orgs,
            identity=self.identity,
            keyring=self.keyring,
            settings=given.api_keys,
            clock=self.clock,
        )
        for capability in CAPABILITIES:
            self.rbac.declare(*capability.permissions)
        self._log = logger(__name__)
        self._crew: Worker | None = None
        self._crew_task: asyncio.Task[None] | None = None
        self.started = False
        self._access_hooks: list[Callable[[], None]] = []
        self._maintenance = Maintenance(self.preferences)
        for pattern in ACCESS_EVENTS:
            self.events.listen(pattern, self._access_changed)

    async def start(self, *, embedded: bool | None = None) -> None:
        """Open the house: migrate or check the tables, look at the walls, start the worker.

        ``embedded`` runs a worker in this process; by default the setting ``BARTIZAN_EMBEDDED_WORKER`` says.
        Raises ``Unavailable`` when the database does not answer, and ``Fault`` when it is not safe to serve.
        """
        if self.started:
            return
        if self.settings.database_options.auto_migrate and not self.settings.production:
            await self.database.migrate()
        await self.database.check()
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
        self.started = False
        await self.outbound.close()
        await self.database.close()

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

    def on_access_changed(self, hook: Callable[[], None]) -> None:
        """Call ``hook`` in this process after anything that changes what somebody may do."""
        self._access_hooks.append(hook)

    def _access_changed(self, _envelope: Envelope) -> None:
        for hook in self._access_hooks:
            hook()
