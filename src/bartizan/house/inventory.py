"""The rooms there are, and which of their facts change what somebody may do."""

from importlib.metadata import version

from bartizan.access.api_keys.capability import capability as api_keys
from bartizan.access.idempotency.capability import capability as idempotency
from bartizan.access.identity.capability import capability as identity
from bartizan.access.ip_allowlist.capability import capability as ip_allowlist
from bartizan.access.orgs.capability import capability as orgs
from bartizan.access.rbac.capability import capability as rbac
from bartizan.access.sessions.capability import capability as sessions
from bartizan.backbone.audit.capability import capability as audit
from bartizan.backbone.email.capability import capability as email
from bartizan.backbone.events.capability import capability as events
from bartizan.backbone.jobs.capability import capability as jobs
from bartizan.backbone.limits.capability import capability as limits
from bartizan.backbone.preferences.capability import capability as preferences
from bartizan.backbone.secrets.capability import capability as secrets
from bartizan.backbone.usage.capability import capability as usage
from bartizan.foundation.context import Permission

VERSION = version("bartizan")
CAPABILITIES = (
    *(events, audit, jobs, secrets, preferences, limits, email, usage),
    *(identity, rbac, orgs, sessions, api_keys, ip_allowlist, idempotency),
)
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
    "permission.*",
    "refresh.*",
    "preference.*",  # maintenance is one
    "limit.*",
)
# What takes nothing from anybody who is remembered elsewhere: other processes are not told.
NEWCOMERS = frozenset({"api_key.issued", "session.started", "user.registered"})
