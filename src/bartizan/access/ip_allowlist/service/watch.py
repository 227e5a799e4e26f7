"""Keeps the rules that hold in memory, and sees within seconds what another replica changed."""

import asyncio
from collections.abc import Callable

from bartizan.access.ip_allowlist.settings import IpAllowlistSettings
from bartizan.access.ip_allowlist.store import Rulebook
from bartizan.access.ip_allowlist.types import Level
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller
from bartizan.foundation.database import Database

from .matching import Compiled, number_of

_KINDS = {"cookie": "people", "bearer": "people", "key": "keys"}
_MACHINES = "machines"


class Watch:
    """The enabled rules of everybody, compiled. Asking is plain computation: no lock, no wait, no I/O.

    Their number is bounded by the settings for each organization that has rules; organizations without any
    take no room. Before they were first read nobody is let through. When they cannot be read again, those
    that are known go on holding.
    """

    def __init__(self, database: Database, settings: IpAllowlistSettings, clock: Clock) -> None:
        self._book = Rulebook(database)
        self._settings = settings
        self._clock = clock
        self._turn = asyncio.Lock()
        self._version = -1
        self._looked_at = 0.0
        self._hooks: list[Callable[[], None]] = []
        self._orgs: dict[str, Compiled] = {}
        self._platform: Compiled | None = None
        """The platform's rules; none before they were read."""
        self._closed = True
        """Whether there may be addresses from which nobody may come."""
        self._choosy = True
        """Whether the platform's rules tell kinds of callers apart, so that they are asked once more."""

    @property
    def loaded(self) -> bool:
        """Whether the rules were ever read."""
        return self._version >= 0

    @property
    def fresh(self) -> bool:
        """Whether the rules were looked at recently enough."""
        age = self._clock.monotonic() - self._looked_at
        return self.loaded and age <= self._settings.stale_seconds

    def on_change(self, hook: Callable[[], None]) -> None:
        """Call ``hook`` whenever other rules hold than before."""
        self._hooks.append(hook)

    def has_rules(self, org_id: str | None) -> bool:
        """Tell whether it matters from where a caller of this organization comes."""
        return self._choosy or org_id in self._orgs

    def closed_to(self, ip: str | None) -> bool:
        """Tell whether nobody at all may come from an address."""
        if not self._closed:
            return False
        platform = self._platform
        return platform is None or platform.refuse_all(number_of(ip))

    def refuses(self, ip: str | None, caller: Caller, how: str) -> Level | None:
        """Give the level whose rules refuse a caller at an address, if one does."""
        org = self._orgs.get(caller.org_id or "")
        if org is None and not self._choosy:
            return None
        kind, number = _KINDS.get(how, _MACHINES), number_of(ip)
        if self._choosy and (self._platform is None or self._platform.refuse(number, kind)):
            return "global"
        roles = caller.roles | caller.owner_roles
        return "organization" if org is not None and org.refuse(number, kind, roles) else None

    async def refresh(self) -> None:
        """Read what changed since the last time; raises ``Unavailable`` when the database does not answer."""
        async with self._turn:
            version = await self._book.version()
            if version != self._version:
                # A lower number than ours is another history, such as a restored backup: all is read anew.
                since = self._version if self.loaded and version > self._version else None
                edition = await self._book.edition(since)
                compiled = await asyncio.to_thread(
                    lambda: {scope: Compiled(rules) for scope, rules in edition.rules.items()}
                )
                self._take(edition.version, compiled, anew=since is None)
            self._looked_at = self._clock.monotonic()

    def _take(self, version: int, compiled: dict[str | None, Compiled], *, anew: bool) -> None:
        """Let other rules hold, all at once."""
        if anew:
            self._orgs = {}
            compiled.setdefault(None, Compiled(()))
        for org_id, rules in compiled.items():
            if org_id is None:
                self._platform = rules
                self._closed = rules.covers_all
                self._choosy = bool(rules) and not rules.same_for_all
            elif rules:
                self._orgs[org_id] = rules
            else:
                self._orgs.pop(org_id, None)
        self._version = version
        for hook in self._hooks:
            hook()
