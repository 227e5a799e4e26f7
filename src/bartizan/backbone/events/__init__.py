"""Announce a fact once; the audit log, jobs, webhooks and live screens hear it."""

from .service import READ, Events
from .types import Envelope, RecordedEvent, Subscription, Where, plain

__all__ = ["READ", "Envelope", "Events", "RecordedEvent", "Subscription", "Where", "plain"]
