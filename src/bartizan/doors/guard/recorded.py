"""An answer that leaves only when what it answers is on the record."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.types import Message, Send

from bartizan.doors.http.bodies import Limited
from bartizan.foundation.errors import BartizanError


class Recorded:
    """Passes an answer on once ``record`` has written down its status; without ``record``, at once."""

    def __init__(self, send: Send, body: Limited, record: Callable[[int], Awaitable[None]] | None) -> None:
        """Pass on to ``send`` unless ``body`` turned out to be too large."""
        self._send = send
        self._body = body
        self._record = record
        self._answered = False
        self.refused: BartizanError | None = None
        """Why the answer was held back: the change could not be recorded."""

    async def __call__(self, message: Message) -> None:
        """Take one message from the app."""
        if self._body.exceeded or self.refused:
            return  # what the app says is of no use: a refusal of our own follows
        if message["type"] == "http.response.start" and not self._answered:
            self._answered = True
            if not await self._recorded(message["status"]):
                return
        await self._send(message)

    async def broke(self, status: int) -> None:
        """Record that the app broke before it answered."""
        if not self._answered and self._record:
            await self._record(status)

    async def _recorded(self, status: int) -> bool:
        if self._record is None:
            return True
        try:
            await self._record(status)
        except BartizanError as error:
            if status != HTTPStatus.SERVICE_UNAVAILABLE:  # "not now" from the app is as good as ours
                self.refused = error
                return False
        return True
