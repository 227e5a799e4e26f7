"""The shape of an announced fact, in the process and outside of it."""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TypeGuard
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from bartizan.foundation.capability import Compliance, Event

PLATFORM = "platform"
"""The stream of facts that belong to no organization."""


class Where(Enum):
    """Where a fact belongs when nothing else is said."""

    CURRENT = "current"
    """The organization that the caller acts for; the platform when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """An announced fact with all that is known about it."""

    id: str
    type: str
    source: str
    tenant_id: str | None
    user_id: str | None
    timestamp: datetime
    data: dict[str, Any]
    correlation_id: str | None = None
    """The id of the request that made it happen."""
    compliance_level: Compliance = "standard"
    retry_count: int = 0
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    """Who asked: ``caller``, ``kind`` and, while impersonating, ``actor``; the ``subject`` it happened to."""
    sequence: int | None = None
    """Its place in the stream; none until the transaction is about to commit."""
    event: Event | None = field(default=None, compare=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Give the envelope as plain JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "event"}
        return {**values, "timestamp": self.timestamp.isoformat()}

    def as_cloudevent(self) -> dict[str, Any]:
        """Give the fact as a CloudEvents 1.0 JSON object."""
        return _cloudevent(self)


class RecordedEvent(BaseModel):
    """A fact as it was recorded."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    type: str = Field(examples=["api_key.revoked"])
    source: str
    tenant_id: str | None = Field(description="The organization; null for the platform's own facts.")
    user_id: str | None
    timestamp: datetime
    data: dict[str, Any]
    correlation_id: str | None = Field(description="The id of the request that made it happen.")
    compliance_level: Compliance
    retry_count: int = 0
    metadata: dict[str, Any]
    sequence: int = Field(description="Counts from 1 in each organization, without gaps.")

    def as_cloudevent(self) -> dict[str, Any]:
        """Give the fact as a CloudEvents 1.0 JSON object."""
        return _cloudevent(self)


@dataclass(frozen=True, slots=True)
class Interest:
    """Which facts somebody wants to hear."""

    pattern: re.Pattern[str]
    org_id: str | None = None
    compliance: frozenset[Compliance] | None = None

    @classmethod
    def of(
        cls,
        wanted: str | type[Event],
        org_id: str | None = None,
        compliance: Compliance | Collection[Compliance] | None = None,
    ) -> "Interest":
        """Read ``recording.*``, ``*`` or an event class; a star stands for any text."""
        text = wanted if isinstance(wanted, str) else wanted.name or "*"
        if isinstance(compliance, str):
            compliance = (compliance,)
        return cls(
            re.compile(".*".join(re.escape(part) for part in text.split("*"))),
            org_id,
            None if compliance is None else frozenset(compliance),
        )

    def covers(self, envelope: Envelope) -> bool:
        """Tell whether this fact is wanted."""
        return (
            (self.org_id is None or envelope.tenant_id == self.org_id)
            and (self.compliance is None or envelope.compliance_level in self.compliance)
            and self.pattern.fullmatch(envelope.type) is not None
        )


class Subscription:
    """A listener's place; cancel it to hear no more."""

    def __init__(
        self,
        interest: Interest,
        handler: Callable[[Envelope], Awaitable[None] | None],
        forget: Callable[["Subscription"], None],
    ) -> None:
        self.interest = interest
        self.handler = handler
        self._forget = forget

    def cancel(self) -> None:
        """Hear no more; cancelling twice does nothing."""
        self._forget(self)


def plain(value: Any) -> Any:  # noqa: PLR0911 - one line for each kind of value
    """Turn a field of an event into JSON values; refuses what has no obvious form, such as bytes."""
    if value is None or isinstance(value, str | bool | int | float):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, Enum):
        return plain(value.value)
    if _is_mapping(value):
        return {str(key): plain(inner) for key, inner in value.items()}
    if _is_set(value):
        return sorted((plain(inner) for inner in value), key=str)
    if _is_sequence(value):
        return [plain(inner) for inner in value]
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    message = f"A {type(value).__name__} cannot be part of an event."
    raise TypeError(message)


def _is_mapping(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def _is_set(value: Any) -> TypeGuard[AbstractSet[Any]]:
    return isinstance(value, AbstractSet)


def _is_sequence(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)


def _cloudevent(event: Envelope | RecordedEvent) -> dict[str, Any]:
    # Extension names are lower-case letters and digits (CloudEvents 1.0.2, section "Naming conventions").
    attributes = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.timestamp.isoformat(),
        "subject": event.metadata.get("subject"),
        "datacontenttype": "application/json",
        "data": event.data,
        "tenantid": event.tenant_id,
        "userid": event.user_id,
        "correlationid": event.correlation_id,
        "compliancelevel": event.compliance_level,
        "sequence": None if event.sequence is None else f"{event.sequence:020d}",
    }
    return {name: value for name, value in attributes.items() if value is not None}
