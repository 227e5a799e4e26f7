"""Facts to announce, and who hears them."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from bartizan.backbone.events import READ, Envelope
from bartizan.foundation.capability import Compliance, Event
from bartizan.foundation.context import Caller, current

ACME = "org_acme"
GLOBEX = "org_globex"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingCreated(Event):
    """A recording was made."""

    target: ClassVar[str | None] = "recording_id"

    recording_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDeleted(Event):
    """A recording went away."""

    recording_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartOpened(Event):
    """A patient's chart was read."""

    compliance: ClassVar[Compliance] = "hipaa"

    chart_id: str


@contextmanager
def member(org_id: str | None = ACME, *permissions: str, operator: bool = False) -> Generator[None]:
    caller = Caller(
        id="usr_ann",
        kind="user",
        user_id="usr_ann",
        org_id=org_id,
        permissions=frozenset(permissions or [READ.name]),
        operator=operator,
    )
    with current.acting_as(caller):
        yield


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.heard: list[Envelope] = []

    async def __call__(self, envelope: Envelope) -> None:
        self.heard.append(envelope)

    @property
    def types(self) -> list[str]:
        return [envelope.type for envelope in self.heard]
