"""Prints mail: for development, where the reader of the terminal is the recipient."""

import sys
from collections.abc import Sequence
from typing import TextIO

from bartizan.backbone.email.types import Outgoing, Receipt, Status


class ConsoleProvider:
    """Writes the text of each mail to the terminal."""

    name = "console"
    delivers = False

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    async def send(self, mail: Outgoing) -> Receipt:
        """Print one mail."""
        files = "".join(f"\n[{a.filename}, {len(a.content):,} bytes]" for a in mail.attachments)
        rule = "─" * 72
        stream = self._stream or sys.stderr
        stream.write(f"{rule}\nMail to {mail.to}\n{mail.subject}\n\n{mail.text.strip()}{files}\n{rule}\n")
        stream.flush()
        return Receipt(provider_id=mail.id)

    async def send_batch(self, mails: Sequence[Outgoing]) -> Sequence[Receipt]:
        """Print several."""
        return [await self.send(mail) for mail in mails]

    async def get_status(self, provider_id: str) -> Status | None:  # noqa: ARG002 - the protocol's shape
        """Say nothing: a terminal does not answer."""
        return None
