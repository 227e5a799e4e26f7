"""The house: every room, built once, bottom floor first."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bartizan.access.api_keys import ApiKeys
from bartizan.access.api_keys.capability import capability as api_keys
from bartizan.access.identity import Identity
from bartizan.access.identity.capability import capability as identity
from bartizan.access.orgs import Orgs
from bartizan.access.orgs.capability import capability as orgs
from bartizan.access.rbac import Rbac
from bartizan.access.rbac.capability import capability as rbac
from bartizan.access.sessions import Sessions
from bartizan.access.sessions.capability import capability as sessions
from bartizan.backbone.audit import Audit
from bartizan.backbone.audit.capability import capability as audit
from bartizan.backbone.email import Email
from bartizan.backbone.email.capability import capability as email
from bartizan.backbone.events import Events
from bartizan.backbone.events.capability import capability as events
from bartizan.backbone.jobs import Jobs, Worker
from bartizan.backbone.jobs.capability import capability as jobs
from bartizan.backbone.preferences import Preferences
from bartizan.backbone.preferences.capability import capability as preferences
from bartizan.backbone.secrets import Secrets
from bartizan.backbone.secrets.capability import capability as secrets
from bartizan.foundation.clock import Clock
from bartizan.foundation.crypto import Keyring, SigningKeys
from bartizan.foundation.database import Database
from bartizan.foundation.http import Outbound
from bartizan.foundation.telemetry import Metrics

CAPABILITIES = (events, audit, jobs, secrets, preferences, email, identity, rbac, orgs, sessions, api_keys)
