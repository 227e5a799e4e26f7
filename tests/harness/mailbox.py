"""A provider of e-mail that keeps what it is given."""

from collections.abc import Sequence

from bartizan.backbone.email import Outgoing, Receipt, Status
from bartizan.foundation.errors import BartizanError


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
