"""Writes mail into a folder as .eml files, which any mail program opens."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from bartizan.backbone.email.errors import DeliveryDelayed
from bartizan.backbone.email.types import Outgoing, Receipt, Status
from bartizan.foundation.clock import Clock

from .mime import build


class FileProvider:
    """One file for each mail, named after its id and readable by its owner alone."""

    name = "file"
    delivers = False

    def __init__(self, folder: Path, *, clock: Clock | None = None) -> None:
        self._folder = folder
        self._clock = clock or Clock()

    async def send(self, mail: Outgoing) -> Receipt:
        """Write one mail."""
        content = build(mail, self._clock).as_bytes()
        try:
            await asyncio.to_thread(self._write, f"{mail.id}.eml", content)
        except OSError as error:
            raise DeliveryDelayed(f"The mail folder cannot be written: {error.strerror}.") from error
        return Receipt(provider_id=mail.id)

    async def send_batch(self, mails: Sequence[Outgoing]) -> Sequence[Receipt | DeliveryDelayed]:
        """Write several."""
        answers: list[Receipt | DeliveryDelayed] = []
        for mail in mails:
            try:
                answers.append(await self.send(mail))
            except DeliveryDelayed as error:
                answers.append(error)
        return answers

    async def get_status(self, provider_id: str) -> Status | None:
        """Say whether the file is there."""
        path = self._folder / f"{Path(provider_id).name}.eml"
        return "sent" if await asyncio.to_thread(path.exists) else None

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._folder / f"{name}.part"
        part.touch(mode=0o600)
        part.write_bytes(content)
        part.replace(self._folder / name)
