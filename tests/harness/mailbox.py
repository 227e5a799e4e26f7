"""A provider of e-mail that keeps what it is given, and the rooms that a mail passes through."""

from collections.abc import Sequence
from typing import Any

from bartizan.backbone.email import Email, EmailSettings, Outgoing, Receipt, Status
from bartizan.backbone.events import Events
from bartizan.backbone.jobs import Jobs, JobsSettings, Worker
from bartizan.backbone.preferences import Preferences
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.database import Database
from bartizan.foundation.errors import BartizanError

from .keys import keyring


class Mailbox:
    """A provider that keeps what it is given, and refuses what it is told to."""

    name = "mailbox"
    delivers = True

    def __init__(self) -> None:
        self.mails: list[Outgoing] = []
        self.refusals: list[BartizanError] = []

    async def send(self, mail: Outgoing) -> Receipt:
        if self.refusals:
            raise self.refusals.pop(0)
        self.mails.append(mail)
        return Receipt(provider_id=f"box-{len(self.mails)}")

    async def send_batch(self, mails: Sequence[Outgoing]) -> Sequence[Receipt | BartizanError]:
        return [await self.send(mail) for mail in mails]

    async def get_status(self, provider_id: str) -> Status | None:
        return "sent"


class Post:
    """The rooms that a mail passes through."""

    def __init__(self, database: Database, clock: ManualClock, **settings: Any) -> None:
        self.database, self.clock = database, clock
        self.events = Events(database, clock=clock)
        self.jobs = Jobs(database, self.events, JobsSettings(), clock=clock)
        self.preferences = Preferences(database, self.events, clock=clock)
        self.keyring = settings.pop("keyring", None) or keyring()
        self.box = Mailbox()
        self.email = Email(
            database,
            self.events,
            self.jobs,
            self.keyring,
            self.preferences,
            settings=EmailSettings(sender="Acme <no-reply@acme.example>", product="Acme", **settings),
            provider=self.box,
            clock=clock,
        )

    async def work(self) -> int:
        return await Worker(self.jobs).run_pending()
