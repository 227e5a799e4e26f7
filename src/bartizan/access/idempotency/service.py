"""Rules of requests that may be sent again."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from datetime import timedelta
from random import SystemRandom
from secrets import token_hex

from bartizan.foundation.clock import Clock
from bartizan.foundation.context import current
from bartizan.foundation.crypto import CannotOpen, Keyring
from bartizan.foundation.database import Database

from .errors import AnswerNotKept, IdempotencyKeyReused, InvalidIdempotencyKey, RequestUnderWay
from .settings import IdempotencySettings
from .store import EveryKey, IdempotencyStore
from .types import Answer, Claim, Owner

HEADER = "Idempotency-Key"
_PURPOSE = "idempotency"
_KEY = re.compile(rb"[\x21-\x7e]{1,255}")
_QUOTED = re.compile(rb'"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,510})"')
_ESCAPED = re.compile(rb"\\(.)")
_SHORTEST, _LONGEST = 0.02, 0.5
"""Seconds between two looks at a request that another process works on."""
_OFTEN = 50
"""How many new keys are taken between two looks whether their caller has too many."""
_JITTER = SystemRandom()
_log = logging.getLogger(__name__)


class Idempotency:
    """Keeps the answers of requests that came with a key: ``bz.idempotency``.

    A key belongs to the caller and their organization. Whoever claims it first runs the request; who comes
    with the same key meanwhile waits, and later ones get the answer that was kept. While the request runs,
    this process prolongs its lease; if the process dies, the lease ends and the next one may run.
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        settings: IdempotencySettings | None = None,
        *,
        clock: Clock,
    ) -> None:
        self.settings = settings or IdempotencySettings()
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._every = EveryKey(database)
        self._held: dict[str, tuple[Claim, asyncio.Event]] = {}
        """Requests that run in this process: as many as it serves at once."""
        self._heart: asyncio.Task[None] | None = None
        self._taken = 0
        self._often = max(1, min(_OFTEN, self.settings.max_keys // 10))

    @property
    def enabled(self) -> bool:
        """Whether keys mean anything here."""
        return self.settings.enabled

    def key(self, values: Sequence[bytes]) -> str:
        """Read the key of a request from its header, which comes once; refuses what is none.

        It is plain text, or a quoted string as RFC 9651 writes them.
        """
        if len(values) == 1:
            value = values[0].strip(b" \t")
            if quoted := _QUOTED.fullmatch(value):
                value = _ESCAPED.sub(rb"\1", quoted[1])
            elif value.startswith(b'"'):
                value = b""
            if _KEY.fullmatch(value):
                return value.decode("ascii")
        raise InvalidIdempotencyKey(field=HEADER)

    async def claim(self, key: str, request: bytes) -> Claim | Answer:
        """Claim the right to run a request, or get the answer of the first one with the same key.

        ``request`` tells requests apart: the same bytes for the same request. While another one with the key
        runs, this waits for it. Refuses a key that was used for another request, one whose request takes
        longer than the wait, and one whose answer was not kept.
        """
        caller = current.caller
        owner = Owner.of(caller)
        row_id = owner.name(key)
        what = request + b"\0" + (caller.team_id or "").encode()
        loop = asyncio.get_running_loop()
        end = loop.time() + self.settings.wait
        pause = _SHORTEST
        while True:
            found = await self._try(owner, row_id, what)
            if not isinstance(found, str):
                return found
            under_way = True
            while under_way:
                left = end - loop.time()
                if left <= 0:
                    raise RequestUnderWay(retry_after=max(1, round(self.settings.lease / 10)))
                await self._pause(row_id, min(pause * _JITTER.uniform(0.5, 1.0), left))
                pause = min(pause * 2, _LONGEST)
                under_way = await self._runs(owner, row_id, found)

    async def keep(self, claim: Claim, answer: Answer | None) -> bool:
        """End a run with the answer it gave, or with none that can be kept; false if it came too late."""
        now = self._clock.now()
        sealed = None if answer is None else self._keyring.seal(answer.pack(), _context(claim))
        try:
            async with self._rows(claim.owner) as store:
                kept = await store.change(
                    claim.id,
                    claim.token,
                    done=True,
                    answer=sealed,
                    expires_at=now + timedelta(hours=self.settings.hours),
                )
        finally:
            self._let_go(claim)
        if not kept:
            _log.warning("A request took longer than its lease, and another one with its key has run.")
        return kept

    async def release(self, claim: Claim) -> None:
        """End a run as if it had never been: the next request with the key runs."""
        try:
            async with self._rows(claim.owner) as store:
                await store.remove(claim.id, claim.token)
        finally:
            self._let_go(claim)

    async def prune(self) -> None:
        """Forget the keys that have had their time; a schedule does this every hour."""
        while await self._every.prune(self._clock.now()):
            pass

    async def close(self) -> None:
        """Stop prolonging leases."""
        if self._heart is not None:
            self._heart.cancel()
            with suppress(asyncio.CancelledError):
                await self._heart
            self._heart = None

    async def _try(self, owner: Owner, row_id: str, what: bytes) -> Claim | Answer | str:
        """Take the key, or give what is known of it: the answer, or the token of the run under way."""
        now = self._clock.now()
        claim = Claim(row_id, owner, token_hex(16))
        new = {
            "request": self._keyring.mac(_PURPOSE, what),
            "token": claim.token,
            "done": False,
            "lease_until": now + timedelta(seconds=self.settings.lease),
            "created_at": now,
            "expires_at": now + timedelta(hours=self.settings.hours),
            "answer": None,
        }
        async with self._rows(owner) as store:
            if not await store.add(id=row_id, **new):
                row = await store.find(row_id)
                if row is None:
                    return ""  # it was just released: try again
                if row.expires_at > now or not row.done:  # also what a dead process left
                    self._same(row.request, what)
                if row.done and row.expires_at > now:
                    return self._open(claim, row.answer)
                if not row.done and row.lease_until > now:
                    return row.token
                if not await store.change(row_id, row.token, **new):
                    return ""  # somebody else has just taken it over
            self._taken += 1
            if self._taken % self._often == 0:
                await store.trim(self.settings.max_keys)
        self._hold(claim)
        return claim

    def _same(self, mac: bytes, what: bytes) -> None:
        if not self._keyring.verify_mac(_PURPOSE, what, mac):
            raise IdempotencyKeyReused

    def _open(self, claim: Claim, sealed: bytes | None) -> Answer:
        if sealed is None:
            raise AnswerNotKept
        try:
            return Answer.unpack(self._keyring.open(sealed, _context(claim)))
        except CannotOpen as error:
            raise AnswerNotKept from error  # the secret key that sealed it was taken away

    async def _runs(self, owner: Owner, row_id: str, token: str) -> bool:
        """Tell whether a run is still under way."""
        if not token:
            return False
        async with self._rows(owner, write=False) as store:
            row = await store.find(row_id)
            return (
                row is not None
                and row.token == token
                and not row.done
                and row.lease_until > self._clock.now()
            )

    @asynccontextmanager
    async def _rows(self, owner: Owner, *, write: bool = True) -> AsyncGenerator[IdempotencyStore]:
        """Open the rows of an owner, within their organization, whoever's task this is."""
        with current.as_system(owner.org_id, _PURPOSE):
            opened = self._database.transaction() if write else self._database.reading()
            async with opened as session:
                yield IdempotencyStore(session, owner)

    async def _pause(self, row_id: str, seconds: float) -> None:
        """Wait a little; no longer than the run takes, if it is one of this process."""
        if (held := self._held.get(row_id)) is None:
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await held[1].wait()

    def _hold(self, claim: Claim) -> None:
        self._held[claim.id] = (claim, asyncio.Event())
        if self._heart is None or self._heart.done():
            # A context of its own: it works for every request, not for the one that came first.
            self._heart = asyncio.create_task(self._beat(), name="bartizan idempotency", context=Context())

    def _let_go(self, claim: Claim) -> None:
        held = self._held.get(claim.id)
        if held is not None and held[0] is claim:
            del self._held[claim.id]
            held[1].set()

    async def _beat(self) -> None:
        """Prolong the leases of what runs here, until nothing does."""
        while self._held:
            await asyncio.sleep(self.settings.lease / 3)
            claims = [claim for claim, _ in self._held.values()]
            try:
                if claims:
                    until = self._clock.now() + timedelta(seconds=self.settings.lease)
                    await self._every.renew(claims, until)
            except Exception:  # noqa: BLE001 - leases last longer than most outages
                _log.exception("The leases of %d requests could not be prolonged.", len(claims))


def _context(claim: Claim) -> bytes:
    """Bind a sealed answer to its owner and key."""
    return f"{_PURPOSE} {claim.owner.organization} {claim.id}".encode()
