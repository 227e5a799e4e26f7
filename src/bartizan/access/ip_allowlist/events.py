"""What this room announces."""

from dataclasses import dataclass
from typing import ClassVar

from bartizan.foundation.capability import Event, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class IpRuleCreated(Event):
    """A rule says from which addresses callers may come."""

    target: ClassVar[str | None] = "rule_id"

    rule_id: str
    level: str
    role: str | None
    callers: tuple[str, ...]
    addresses: tuple[str, ...]
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IpRuleUpdated(Event):
    """A rule about addresses was changed, switched on or switched off."""

    target: ClassVar[str | None] = "rule_id"

    rule_id: str
    level: str
    changed: tuple[str, ...]
    added: tuple[str, ...]
    """Addresses that the rule lists now and did not before."""
    removed: tuple[str, ...]
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IpRuleDeleted(Event):
    """A rule about addresses is gone."""

    target: ClassVar[str | None] = "rule_id"

    rule_id: str
    level: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IpRulesOverridden(Event):
    """Every rule of an organization, or of the whole platform, was switched off by who runs the platform."""

    personal: ClassVar[frozenset[str]] = frozenset({"reason"})

    level: str
    rules: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRefused(Event):
    """Somebody was refused because of the address they came from; told once a minute for each address."""

    outcome: ClassVar[Outcome] = "denied"
    personal: ClassVar[frozenset[str]] = frozenset({"address"})

    address: str
    level: str
    left_out: int
    """Refusals of other addresses since the last record that were too many to write down."""
