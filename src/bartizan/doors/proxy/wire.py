"""The application's end of a websocket: handshake, messages, pings and the reason it ends."""

import asyncio
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State

from .errors import BrokeOff, Senseless
from .exchange import Message

_HIGH = 256 * 1024
_NO_STATUS, _ABNORMAL, _NORMAL, _BAD_GATEWAY = 1005, 1006, 1000, 1014
_LONGEST_REASON = 123
_WIDEST = range(3000, 5000)
_KNOWN = frozenset({*range(1000, 1004), *range(1007, 1015)})


class Wire(asyncio.Protocol):
    """The application's end: the protocol itself is that of the package ``websockets``, without its I/O.

    Messages wait here until they are taken; while they are more than 256 KiB, the application waits, too.
    """

    def __init__(self, protocol: ClientProtocol) -> None:
        """Speak ``protocol``."""
        self.protocol = protocol
        self.response: Response | None = None
        self.messages: list[Message] = []
        self._held = 0
        self._parts: list[bytes] = []
        self._text = False
        self._transport: asyncio.Transport | None = None
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._quiet = 0
        self.gone = False

    def begin(self, opening: bytes) -> None:
        """Send the handshake."""
        if self._transport is not None:
            self._transport.write(opening)

    async def next(self) -> Message | None:
        """Wait for a message; none when there will be no more."""
        while not self.messages:
            if self.over:
                return None
            self._changed.clear()
            await self._changed.wait()
        message = self.messages.pop(0)
        before, self._held = self._held, self._held - len(message.get("bytes") or message.get("text") or b"")
        if before > _HIGH >= self._held and self._transport is not None:
            self._transport.resume_reading()
        return message

    async def answered(self) -> Response:
        """Wait for the answer to the handshake; raises :class:`BrokeOff` or :class:`Senseless`."""
        while self.response is None and self.protocol.handshake_exc is None:
            if self.gone:
                raise BrokeOff
            self._changed.clear()
            await self._changed.wait()
        refused = self.protocol.handshake_exc
        if self.response is None or not (refused is None or isinstance(refused, InvalidStatus)):
            raise Senseless(type(refused).__name__)
        return self.response

    @property
    def over(self) -> bool:
        """Whether the application has closed the socket, or is gone."""
        return self.gone or self.protocol.close_rcvd is not None

    @property
    def end(self) -> tuple[int, str]:
        """Why it ended: a code and a reason to pass on."""
        close = self.protocol.close_rcvd or self.protocol.close_sent
        if close is None or close.code == _ABNORMAL:
            return _BAD_GATEWAY, ""
        return _NORMAL if close.code == _NO_STATUS else close.code, close.reason

    async def say(self, message: Message) -> None:
        """Send what the caller said."""
        if self.protocol.state is not State.OPEN:
            return
        if (text := message.get("text")) is not None:
            self.protocol.send_text(text.encode())
        else:
            self.protocol.send_binary(message.get("bytes") or b"")
        self.flush()
        await self._room.wait()

    def hang_up(self, code: int, reason: str) -> None:
        """Close it as the caller did; a caller that vanished makes us vanish."""
        if code == _ABNORMAL or self.protocol.state is not State.OPEN:
            self.drop()
            return
        if code == _NO_STATUS:
            self.protocol.send_close()
        else:
            known = code in _KNOWN or code in _WIDEST
            short = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
            self.protocol.send_close(code if known else _NORMAL, short)
        self.flush()

    def ping(self) -> None:
        """Ask whether the application is there; give up when it has been silent since the last two asks."""
        self._quiet += 1
        if self._quiet > 2:  # noqa: PLR2004
            self.drop()
        elif self.protocol.state is State.OPEN:
            self.protocol.send_ping(b"")
            self.flush()

    def drop(self) -> None:
        """Let go at once."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Let go: in good order where the end has been said, else at once."""
        if self._transport is not None:
            (self._transport.close if self.over else self._transport.abort)()

    def flush(self) -> None:
        """Send what the protocol has to say."""
        if self._transport is None:
            return
        for data in self.protocol.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hear what the application says."""
        self._quiet = 0
        self.protocol.receive_data(data)
        self._hear()

    def eof_received(self) -> bool:
        """Hear that it says no more."""
        self.protocol.receive_eof()
        self._hear()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Hear that it is gone."""
        self.gone = True
        self._transport = None
        self._room.set()
        self._changed.set()

    def pause_writing(self) -> None:
        """Hear that it reads more slowly than we write."""
        self._room.clear()

    def resume_writing(self) -> None:
        """Hear that it has caught up."""
        self._room.set()

    def _hear(self) -> None:
        for event in self.protocol.events_received():
            if isinstance(event, Response):
                self.response = event
            elif isinstance(event, Frame):
                self._frame(event)
        self.flush()
        if self.protocol.close_expected() and self._transport is not None:
            self._transport.close()
        self._changed.set()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in {Opcode.TEXT, Opcode.BINARY}:
            self._text, self._parts = frame.opcode is Opcode.TEXT, []
        elif frame.opcode is not Opcode.CONT:
            return  # pings, pongs and the end are the protocol's own business
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return
        whole = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        try:
            kind: Message = {"text": whole.decode()} if self._text else {"bytes": whole}
        except UnicodeDecodeError:
            self.protocol.fail(1007)
            return
        self.messages.append({"type": "websocket.send", **kind})
        before, self._held = self._held, self._held + len(whole)
        if before <= _HIGH < self._held and self._transport is not None:
            self._transport.pause_reading()
