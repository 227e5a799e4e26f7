"""Facts to record, and the people they are about."""

import base64
import hashlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from bartizan.backbone.audit import (
    EXPORT,
    READ,
    WRITE,
    Audit,
    AuditEvent,
    AuditQuery,
)
from bartizan.foundation import ids
from bartizan.foundation.capability import Event, Outcome
from bartizan.foundation.context import Caller, Origin, current

ACME = "org_acme"
GLOBEX = "org_globex"
ALL = frozenset({READ.name, WRITE.name, EXPORT.name})
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgePrinted(Event):
    """A badge was printed."""

    target: ClassVar[str | None] = "badge_id"
    personal: ClassVar[frozenset[str]] = frozenset({"holder", "photo"})

    badge_id: str
    copies: int = 1
    user_id: str | None = None
    holder: str
    photo: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRefused(Event):
    """A door stayed shut."""

    outcome: ClassVar[Outcome] = "denied"
    target: ClassVar[str | None] = "card"
    personal: ClassVar[frozenset[str]] = frozenset({"card", "ip"})

    card: str
    ip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LampBlinked(Event):
    """A lamp blinked; nobody needs to know."""

    audited: ClassVar[bool] = False


@contextmanager
def person(
    name: str = "usr_ann",
    org_id: str | None = ACME,
    permissions: frozenset[str] = ALL,
    *,
    actor: str | None = None,
    operator: bool = False,
) -> Generator[None]:
    caller = Caller(
        id=name,
        kind="user",
        user_id=name,
        org_id=org_id,
        permissions=permissions,
        session_id="ses_1",
        actor_id=actor,
        operator=operator,
    )
    with current.acting_as(caller):
        yield


def request(method: str = "POST", path: str = "/api/v1/badges", ip: str = "203.0.113.9") -> Origin:
    return Origin(request_id=ids.new("req"), ip=ip, user_agent=FIREFOX, method=method, path=path)


def sha256_of(disclosure: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(disclosure.encode()).digest()).decode().rstrip("=")


async def found(audit: Audit, **filters: object) -> Sequence[AuditEvent]:
    page = await audit.search(AuditQuery.model_validate(filters))
    return [event for event in page.items if event.action != "audit.read"]
