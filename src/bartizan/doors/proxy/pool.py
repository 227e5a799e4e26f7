"""Connections to the application: kept while they are fresh, bounded, and none left waiting for ever."""

import asyncio
import ssl
from collections import deque

from bartizan.foundation.settings import ProxySettings

from .connection import Connection
from .errors import Busy, TooSlow, Unreachable
from .upstream import Upstream

_SWEEP = 0.5
_A_WHILE = 1.0
"""Seconds after which somebody looks whether the caller is still there."""


class Pool:
    """Opens connections and keeps idle ones, the freshest on top.

    At most ``connections`` are open at once; a request beyond that waits its turn for ``connect_timeout``
    seconds and is then refused. At most ``pool_size`` idle ones are kept; beyond that they are closed.
    """

    def __init__(self, upstream: Upstream, settings: ProxySettings) -> None:
        """Connect to ``upstream``; nothing is opened yet."""
        self._upstream = upstream
        self._settings = settings
        self._tls: ssl.SSLContext | None = upstream.tls(settings.ca_file, verify=settings.verify)
        self._idle: deque[Connection] = deque()
        self._busy: set[Connection] = set()
        self._open: set[Connection] = set()
        self._turns: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> int:
        """How many idle connections are kept."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """How many connections serve a request."""
        return len(self._busy)

    async def take(self, *, fresh: bool = False) -> Connection:
        """Give a connection for one exchange: an idle one, or a new one where ``fresh`` asks for it."""
        connection = None if fresh else self._kept()
        if connection is None:
            connection = await self._connect()
        self._busy.add(connection)
        connection.since = asyncio.get_running_loop().time()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)
        return connection

    def give(self, connection: Connection) -> None:
        """Take a connection back after its exchange."""
        self._busy.discard(connection)
        fit = connection.finish()
        if fit and len(self._idle) < self._settings.pool_size:
            connection.since = asyncio.get_running_loop().time()
            self._idle.append(connection)
            self._next()
        else:
            connection.close()

    def drop(self, connection: Connection) -> None:
        """Take a connection back whose exchange did not end well."""
        self._busy.discard(connection)
        connection.fail(Unreachable())

    def close(self) -> None:
        """Close every connection."""
        for connection in (*self._idle, *self._busy):
            connection.fail(Unreachable("The proxy stops."))
        self._idle.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def aside(self) -> Connection:
        """Open a connection that does not count: whether the app is well can be asked however busy it is."""
        loop = asyncio.get_running_loop()
        connection = Connection(loop, self._settings.max_answer_head, self._lost)
        await self.link(connection)
        return connection

    async def link(self, protocol: asyncio.Protocol) -> None:
        """Open a connection for a protocol; raises :class:`Unreachable` or :class:`TooSlow`."""
        loop, to, settings = asyncio.get_running_loop(), self._upstream, self._settings
        try:
            async with asyncio.timeout(settings.connect_timeout):
                if to.socket is not None:
                    await loop.create_unix_connection(lambda: protocol, to.socket)
                else:
                    await loop.create_connection(lambda: protocol, to.host, to.port, ssl=self._tls)
        except TimeoutError as error:
            message = f"No connection to {to} within {settings.connect_timeout:g} seconds."
            raise TooSlow(message) from error
        except (OSError, ssl.SSLError) as error:
            message = f"{to}: {error.strerror or error}"
            raise Unreachable(message) from error

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self) -> Connection:
        while len(self._open) >= self._settings.connections:
            await self._turn()
            if connection := self._kept():
                return connection
        loop = asyncio.get_running_loop()
        connection = Connection(loop, self._settings.max_answer_head, self._lost)
        self._open.add(connection)
        try:
            await self.link(connection)
        except BaseException:
            self._lost(connection)
            raise
        return connection

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                await turn
        except TimeoutError as error:
            raise Busy from error
        except asyncio.CancelledError:
            self._next()  # the turn may have come meanwhile: it is somebody else's now
            raise
        finally:
            if turn in self._turns:
                self._turns.remove(turn)

    def _next(self) -> None:
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if not connection.busy and connection in self._idle:
            self._idle.remove(connection)
        self._next()

    def _sweep(self) -> None:
        """Close what was idle for too long, end what takes too long; rest when there is nothing left."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._idle and now - self._idle[0].since > self._settings.pool_seconds:
            self._idle.popleft().close()
        for connection in tuple(self._busy):
            if connection.deadline and now > connection.deadline:
                connection.fail(TooSlow())
            elif connection.watch is not None and now - connection.since > _A_WHILE:
                watch, connection.watch = connection.watch, None
                watch()
        self._timer = loop.call_later(_SWEEP, self._sweep) if self._idle or self._busy else None
