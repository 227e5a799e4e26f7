"""What the room of organizations announces, as far as these tests need it."""

from dataclasses import dataclass

from bartizan.foundation.capability import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationDeleted(Event):
    org_id: str
