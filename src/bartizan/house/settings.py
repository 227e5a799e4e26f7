"""Everything an operator can turn."""

from pydantic import Field

from bartizan.access.api_keys import ApiKeysSettings
from bartizan.access.idempotency import IdempotencySettings
from bartizan.access.identity import IdentitySettings
from bartizan.access.ip_allowlist import IpAllowlistSettings
from bartizan.access.orgs import OrgsSettings
from bartizan.access.rbac import RbacSettings
from bartizan.access.sessions import SessionsSettings
from bartizan.backbone.audit import AuditSettings
from bartizan.backbone.email import EmailSettings
from bartizan.backbone.jobs import JobsSettings
from bartizan.backbone.limits import LimitsSettings
from bartizan.backbone.secrets import SecretsSettings
from bartizan.backbone.usage import UsageSettings
from bartizan.foundation.crypto import CryptoSettings
from bartizan.foundation.database import DatabaseSettings
from bartizan.foundation.http import HttpSettings
from bartizan.foundation.settings import HouseSettings
from bartizan.foundation.telemetry import TelemetrySettings


class Settings(HouseSettings):
    """Everything an operator can turn; each field is also ``BARTIZAN_<NAME>``."""

    database_options: DatabaseSettings = Field(
        default=DatabaseSettings(), description="The database connection."
    )
    crypto: CryptoSettings = Field(default=CryptoSettings(), description="Signing keys and tokens.")
    http: HttpSettings = Field(default=HttpSettings(), description="Calls to other servers.")
    telemetry: TelemetrySettings = Field(default=TelemetrySettings(), description="Logs, metrics, traces.")
    audit: AuditSettings = Field(default=AuditSettings(), description="The audit log.")
    jobs: JobsSettings = Field(default=JobsSettings(), description="Jobs, schedules and workers.")
    secrets: SecretsSettings = Field(default=SecretsSettings(), description="Secrets of organizations.")
    limits: LimitsSettings = Field(default=LimitsSettings(), description="How often callers may ask.")
    email: EmailSettings = Field(default=EmailSettings(), description="Outgoing e-mail.")
    usage: UsageSettings = Field(default=UsageSettings(), description="Counts of requests, and quotas.")
    identity: IdentitySettings = Field(default=IdentitySettings(), description="Accounts and passwords.")
    rbac: RbacSettings = Field(default=RbacSettings(), description="Roles and permissions.")
    orgs: OrgsSettings = Field(default=OrgsSettings(), description="Organizations, teams and invitations.")
    sessions: SessionsSettings = Field(default=SessionsSettings(), description="Sign-in and tokens.")
    api_keys: ApiKeysSettings = Field(default=ApiKeysSettings(), description="API keys.")
    ip_allowlist: IpAllowlistSettings = Field(
        default=IpAllowlistSettings(), description="From which addresses callers may come."
    )
    idempotency: IdempotencySettings = Field(
        default=IdempotencySettings(), description="Requests that are sent again."
    )
