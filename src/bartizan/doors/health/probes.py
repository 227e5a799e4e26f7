"""Small questions to other servers, with nothing but the standard library."""

import asyncio
import http.client
import secrets
import socket
import ssl
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

_PATIENCE = 5.0
_MOST = 65_536
_TXT, _IN = 16, 1
_POINTER = 0xC0
RESOLVER = Path("/etc/resolv.conf")


class Unanswered(Exception):
    """A server gave no answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a web server said."""

    status: int
    text: str
    headers: Mapping[str, str]
    expires: datetime | None = None
    """When the certificate ends."""


def get(url: str, patience: float = _PATIENCE) -> Answer:
    """Ask for a page; blocks, so call it in a thread."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=patience)
    try:
        connection.request("GET", parts.path or "/", headers={"accept": "application/json"})
        expires = None
        if isinstance(connection.sock, ssl.SSLSocket):
            said = (connection.sock.getpeercert() or {}).get("notAfter")
            if isinstance(said, str):
                expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(said), UTC)
        answer = connection.getresponse()
        text = answer.read(_MOST).decode(errors="replace")
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, text, headers, expires)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unanswered(reason(error)) from error
    finally:
        connection.close()


def reason(error: BaseException) -> str:
    """Say in words why a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(error, socket.gaierror):
        return "the name has no address"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def days_left(moment: datetime) -> int:
    """Count the days until a moment."""
    return (moment - datetime.now(UTC)).days


async def redis(url: str, patience: float = _PATIENCE) -> str:
    """Say PING to a Redis server and give its version; raises :class:`Unanswered`."""
    parts = urlsplit(url)
    tls = ssl.create_default_context() if parts.scheme == "rediss" else None
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(
                parts.hostname or "localhost", parts.port or 6379, ssl=tls
            )
            try:
                if parts.password:
                    user = [unquote(parts.username)] if parts.username else []
                    await _say(reader, writer, "AUTH", *user, unquote(parts.password))
                await _say(reader, writer, "PING")
                told = await _say(reader, writer, "INFO", "server")
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        raise Unanswered(reason(error)) from error
    lines = (line.partition(":") for line in told.splitlines())
    return next((value.strip() for name, _, value in lines if name.endswith("_version")), "unknown")


async def _say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *words: str) -> str:
    """Send one command and read one answer (RESP 2)."""
    parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    writer.write(f"*{len(words)}\r\n{''.join(parts)}".encode())
    line = (await reader.readuntil(b"\r\n")).decode(errors="replace").strip()
    if line.startswith("-"):
        raise Unanswered(line[1:])
    if line.startswith("$"):
        return (await reader.readexactly(int(line[1:]) + 2)).decode(errors="replace")
    return line[1:]


def texts(name: str, patience: float = 2.0) -> Sequence[str] | None:
    """Ask the system's resolver for the TXT records of a name (RFC 1035); none where nobody answers."""
    server = _resolver()
    if server is None:
        return None
    number = secrets.randbelow(2**16)
    labels = b"".join(bytes([len(part)]) + part.encode("idna") for part in name.rstrip(".").split("."))
    query = struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", _TXT, _IN)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        asked.settimeout(patience)
        try:
            asked.connect((server, 53))
            asked.send(query)
            return _read(asked.recv(4096), number)
        except (OSError, IndexError, struct.error):
            return None


def _resolver() -> str | None:
    try:
        lines = RESOLVER.read_text().splitlines()
    except OSError:
        return None
    words = [line.split() for line in lines]
    return next((w[1] for w in words if len(w) > 1 and w[0] == "nameserver"), None)


def _read(answer: bytes, number: int) -> Sequence[str] | None:
    told, flags, questions, answers, _, _ = struct.unpack("!6H", answer[:12])
    code = flags & 15
    if told != number or code not in {0, 3}:  # no error, or no such name
        return None
    at = 12
    for _ in range(questions):
        at = _after_name(answer, at) + 4
    found: list[str] = []
    for _ in range(answers):
        at = _after_name(answer, at)
        kind, _class, _ttl, size = struct.unpack("!2HIH", answer[at : at + 10])
        at += 10
        if kind == _TXT:
            found.append(_text(answer[at : at + size]))
        at += size
    return found


def _after_name(answer: bytes, at: int) -> int:
    while size := answer[at]:
        if size & _POINTER == _POINTER:
            return at + 2
        at += size + 1
    return at + 1


def _text(data: bytes) -> str:
    parts: list[bytes] = []
    while data:
        size = data[0]
        parts.append(data[1 : size + 1])
        data = data[size + 1 :]
    return b"".join(parts).decode(errors="replace")
