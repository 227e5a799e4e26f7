"""Requests by aiohttp; the wall stands where every socket is made."""

import socket
import ssl
import time
from contextvars import ContextVar
from errno import EACCES
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bartizan.foundation.http.errors import AnswerTooLarge, DestinationRefused, TookTooLong, Unreachable
from bartizan.foundation.http.service import Wall
from bartizan.foundation.http.settings import HttpSettings
from bartizan.foundation.http.types import Answer, Resolver, Sent

_CHUNK = 65_536
_DNS_SECONDS = 10


class AioClient:
    """One pool of connections."""

    def __init__(self, settings: HttpSettings, wall: Wall, resolver: Resolver | None) -> None:
        self._wall = wall
        self._walled: ContextVar[list[str] | None] = ContextVar("bartizan_walled", default=None)
        self._proxy = settings.proxy.get_secret_value() if settings.proxy else None
        trusted = ssl.create_default_context()
        if settings.ca_file:
            trusted.load_verify_locations(cafile=settings.ca_file)
        connector = aiohttp.TCPConnector(
            resolver=_Names(resolver) if resolver else aiohttp.ThreadedResolver(),
            socket_factory=self._open,
            ssl=trusted,
            limit=settings.connections,
            limit_per_host=settings.connections_per_host,
            ttl_dns_cache=_DNS_SECONDS,
            use_dns_cache=resolver is None,
        )
        self._connect_timeout = settings.connect_timeout
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            # A small answer may unpack to a giant one: we ask for none packed, and unpack none.
            auto_decompress=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "Bartizan"},
        )

    async def send(self, sent: Sent) -> Answer:
        """Send one request once."""
        walled: list[str] = []
        token = self._walled.set(walled)
        try:
            if self._proxy:  # by aiohttp's own reading of the address, which is the one that counts
                self._wall.check_for_proxy(URL(sent.url).host or "")
            return await self._exchange(sent)
        except TimeoutError as error:
            raise TookTooLong("The other server took too long.") from error
        except aiohttp.InvalidURL as error:
            raise DestinationRefused("This is not an address.", field="url") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if walled:
                # Without a cause: it names the address that was found.
                raise DestinationRefused(field="url") from None
            raise Unreachable(_reason(error)) from error
        finally:
            self._walled.reset(token)

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def _exchange(self, sent: Sent) -> Answer:
        started = time.perf_counter()
        async with self._session.request(
            sent.method,
            sent.url,
            headers=sent.headers,
            data=sent.body,
            allow_redirects=False,
            proxy=self._proxy,
            timeout=aiohttp.ClientTimeout(total=sent.timeout, connect=self._connect_timeout),
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK):
                body += chunk
                if len(body) > sent.max_bytes:
                    break
            too_large = len(body) > sent.max_bytes
            if too_large:
                response.close()  # the rest is not read, so the connection cannot be used again
                if not sent.cut:
                    message = f"The other server answered with more than {sent.max_bytes} bytes."
                    raise AnswerTooLarge(message)
            return Answer(
                status=response.status,
                headers=list(response.headers.items()),
                body=bytes(body[: sent.max_bytes]),
                seconds=time.perf_counter() - started,
                cut=too_large,
            )

    def _open(self, info: Any) -> socket.socket:
        """Make the socket for an address that is about to be connected: the one place all of them pass."""
        family, kind, protocol, _, address = info
        if self._proxy is None and self._wall.refuses(address[0]):
            if (walled := self._walled.get()) is not None:
                walled.append(address[0])
            raise PermissionError(EACCES, "walled")
        return socket.socket(family, kind, protocol)


class _Names(AbstractResolver):
    """Our resolvers, as aiohttp wants them."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - aiohttp's signature
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._resolver.resolve(host)
        ]

    async def close(self) -> None:
        """Nothing is open."""


def connect(settings: HttpSettings, wall: Wall, resolver: Resolver | None) -> AioClient:
    """Open a pool; inside a running loop."""
    return AioClient(settings, wall, resolver)


def _reason(error: Exception) -> str:
    """Say what failed without the address that was found."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "The other server's certificate is not good."
    if isinstance(error, aiohttp.ClientSSLError):
        return "The other server does not speak TLS as it should."
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "The other server's name has no address."
    if isinstance(error, aiohttp.ClientConnectorError):
        return "The other server takes no connections."
    return "The other server broke off."
