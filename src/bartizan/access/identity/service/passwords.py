"""Hashing of passwords: Argon2id in a few threads of low priority, never on the event loop."""

import asyncio
import os
import secrets
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError

from bartizan.access.identity.errors import SignInBusy
from bartizan.access.identity.settings import IdentitySettings
from bartizan.access.identity.types import LONGEST_PASSWORD

from . import legacy

T = TypeVar("T")
_DJANGO_ARGON2 = "argon2$"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password is right, and whether its hash should be made anew."""

    good: bool
    stale: bool = False


class Passwords:
    """Makes and verifies hashes; no more at once than threads, and no more waiting than the queue holds."""

    def __init__(self, settings: IdentitySettings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_time,
            memory_cost=settings.argon2_memory,
            parallelism=settings.argon2_lanes,
            type=Type.ID,
        )
        threads = settings.hash_threads or min(4, os.cpu_count() or 1)
        self._most = threads + settings.hash_queue
        self._running = 0
        self._counting = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, "bartizan-password", initializer=_yield_to_the_loop)
        self._nobody: str | None = None

    def admit(self) -> None:
        """Refuse when the queue is full, before anything is written down about the attempt."""
        if self._running >= self._most:
            raise SignInBusy(retry_after=1)

    async def hash(self, password: str) -> str:
        """Make an Argon2id hash, in the form of the PHC string format."""
        text = _same(password)
        return await self._run(lambda: self._hasher.hash(text))

    async def verify(self, password: str, hashed: str | None) -> Verdict:
        """Compare; with no hash, against one of a password nobody has, which takes as long."""
        text = _same(password)
        return await self._run(lambda: self._verify(text, hashed))

    def knows(self, hashed: str) -> bool:
        """Tell whether a hash has a form that can be verified."""
        if legacy.knows(hashed):
            return True
        try:
            self._hasher.check_needs_rehash(hashed.removeprefix(_DJANGO_ARGON2.removesuffix("$")))
        except InvalidHashError:
            return False
        return True

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: str, hashed: str | None) -> Verdict:
        if self._nobody is None:
            # Before the first verification of any kind, so that only the order of start-up can be told by it.
            self._nobody = self._hasher.hash(secrets.token_urlsafe())
        if hashed is not None and legacy.knows(hashed):
            return Verdict(legacy.verify(password, hashed), stale=True)
        if hashed is not None and hashed.startswith(_DJANGO_ARGON2):
            hashed = hashed.removeprefix(_DJANGO_ARGON2.removesuffix("$"))
        try:
            self._hasher.verify(hashed or self._nobody, password)
        except (Argon2Error, InvalidHashError):
            return Verdict(good=False)
        return Verdict(hashed is not None, stale=self._hasher.check_needs_rehash(hashed or self._nobody))

    async def _run(self, work: Callable[[], T]) -> T:
        self.admit()
        with self._counting:
            self._running += 1
        done = self._pool.submit(work)
        done.add_done_callback(self._finished)
        return await asyncio.wrap_future(done)

    def _finished(self, _: object) -> None:
        with self._counting:
            self._running -= 1


def _same(password: str) -> str:
    """Cut off what nobody types, and write letters that look alike in one way (RFC 8265, section 4.2)."""
    return unicodedata.normalize("NFKC", password[:LONGEST_PASSWORD])


def _yield_to_the_loop() -> None:
    """Give way to the event loop where threads have a priority of their own, as on Linux."""
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
