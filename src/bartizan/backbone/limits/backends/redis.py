"""Counting in Redis or Valkey: all limits of a request in one call of one script.

The script is the algorithm of the memory backend, on Redis's own clock: what the clocks of the replicas say
makes no difference. Keys of one request carry the same hash tag, so a cluster keeps them together, and expire
when their bucket is at rest.
"""

import asyncio
from hashlib import sha1
from typing import Any, Final, cast

from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

from bartizan.backbone.limits.errors import SharedLimitsGone
from bartizan.backbone.limits.types import Bucket, Verdict

SCRIPT: Final = """
local call, format, floor = redis.call, string.format, math.floor
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local held = call('MGET', unpack(KEYS))
local answer, longest = {0}, 0
local function keep(i, level)
  call('SET', KEYS[i], format('%.0f', now + level), 'PX', floor(level / 1000) + 2)
end
for i = 1, #KEYS do
  local increment, full = ARGV[2 * i - 1] + 0, ARGV[2 * i] + 0
  local level = (held[i] or 0) - now
  if level < 0 then
    level = 0
  end
  if level > full then -- the clock was set back, or the rate changed: wait for a full bucket, not for ever
    level = full
    keep(i, level)
  end
  if level - (full - increment) > longest then
    answer[1], longest = i, level - (full - increment)
  end
  answer[i + 1] = level
end
if answer[1] == 0 then
  for i = 1, #KEYS do
    answer[i + 1] = answer[i + 1] + ARGV[2 * i - 1]
    keep(i, answer[i + 1])
  end
end
return table.concat(answer, ' ') -- one text is read sooner than many numbers
"""

_SHA: Final = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest().encode()
_MOST: Final = 64


class RedisLimits:
    """The connections of this process: at most 64, further questions wait for their turn.

    A connection is lent to one question at a time, and is thrown away if that was cut short, so that nobody
    reads an answer that was meant for another.
    """

    def __init__(self, address: str, *, timeout: float) -> None:
        """``timeout``: seconds in which an answer has to come."""
        self._timeout = timeout
        # Waiting is ours: the library's time-outs lose a cancellation now and then (asyncio.wait_for before
        # Python 3.12), and its attempts to connect again would outlast our own.
        waiting = {"socket_timeout": None, "socket_connect_timeout": None, "retry": Retry(NoBackoff(), 0)}
        self._connections = cast("Any", ConnectionPool).from_url(address, **waiting)
        self._idle: list[Any] = []
        self._turns = asyncio.Semaphore(_MOST)

    async def take(self, buckets: tuple[Bucket, ...]) -> Verdict:
        """Take one from every bucket, or nothing from any."""
        parts = [bucket.packed or _pack(bucket) for bucket in buckets]
        count = len(buckets)
        head = b"*%d\r\n" % (3 * count + 3)
        rest = _number(count) + b"".join([part[0] for part in parts] + [part[1] for part in parts])
        try:
            answer = await self._ask(b"%b$7\r\nEVALSHA\r\n%b%b" % (head, _text(_SHA), rest))
        except NoScriptError:  # Redis was restarted or its scripts were flushed: EVAL loads it again
            answer = await self._ask(b"%b$4\r\nEVAL\r\n%b%b" % (head, _text(SCRIPT.encode()), rest))
        refused, *levels = map(int, answer.split())
        if not refused:
            return Verdict(buckets, levels)
        bucket = buckets[refused - 1]
        return Verdict(buckets, levels, bucket, levels[refused - 1] - bucket.tolerance)

    async def ping(self) -> None:
        """Return when Redis answers, and takes what is written."""
        parts = map(_text, (b"SET", b"bz:limits:alive", b"1", b"EX", b"10"))
        await self._ask(b"*5\r\n%b" % b"".join(parts))

    async def close(self) -> None:
        """Let go of every connection."""
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)

    async def _ask(self, command: bytes) -> Any:
        """Send one command and read its answer; Redis may have closed a connection that was idle."""
        try:
            async with self._turns, asyncio.timeout(self._timeout):
                if self._idle:
                    connection = self._idle.pop()
                    try:
                        return await self._exchange(connection, command)
                    except RedisConnectionError:
                        await self.close()
                connection = self._connections.make_connection()
                await connection.connect()
                return await self._exchange(connection, command)
        except NoScriptError:
            raise
        except (RedisError, OSError, TimeoutError) as error:
            await self.close()
            message = f"Redis does not count limits: {type(error).__name__}."
            raise SharedLimitsGone(message) from error

    async def _exchange(self, connection: Any, command: bytes) -> Any:
        try:
            await connection.send_packed_command([command], check_health=False)
            answer = await connection.read_response()
        except NoScriptError:
            self._idle.append(connection)
            raise
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._idle.append(connection)
        return answer


def _pack(bucket: Bucket) -> tuple[bytes, bytes]:
    """Write the key and the numbers of a bucket as Redis reads them, once."""
    packed = _text(bucket.key.encode()), _number(bucket.increment) + _number(bucket.full)
    bucket.packed = packed
    return packed


def _text(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _number(value: int) -> bytes:
    return _text(b"%d" % value)
