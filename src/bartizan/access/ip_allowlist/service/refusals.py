"""Who was refused because of an address, for the audit log: noted at once, written down a little later."""

from collections import deque
from dataclasses import dataclass
from ipaddress import ip_network

from bartizan.access.ip_allowlist.events import AddressRefused
from bartizan.access.ip_allowlist.settings import IpAllowlistSettings
from bartizan.access.ip_allowlist.types import Level
from bartizan.backbone.events import Events
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller, Origin, current
from bartizan.foundation.errors import Unavailable
from bartizan.foundation.telemetry import logger

_MINUTE = 60.0
_MOST_WAITING = 1_000
_MOST_KNOWN = 10_000
_LONGEST = 64
_IPV6_SITE = 64
"""Bits of an IPv6 address that name a network: whoever has one address in it has them all."""

_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class _Refused:
    address: str
    level: Level
    org_id: str | None
    caller: Caller | None
    origin: Origin | None


class Refusals:
    """Notes a refusal once a minute for each address and organization.

    IPv6 addresses of one /64 count as one. What is more than the settings allow for an organization in a
    minute, or than 1,000 that wait, is only counted; the next record tells how many there were.
    """

    def __init__(self, events: Events, settings: IpAllowlistSettings, clock: Clock) -> None:
        self._events = events
        self._settings = settings
        self._clock = clock
        self._until = 0.0
        self._known: set[tuple[str, str | None]] = set()
        self._noted: dict[str | None, int] = {}
        self._waiting: deque[_Refused] = deque()
        self._left_out = 0

    def note(self, ip: str | None, level: Level, caller: Caller | None) -> None:
        """Remember to write a refusal down. Never waits."""
        now = self._clock.monotonic()
        if now >= self._until:
            self._until = now + _MINUTE
            self._known.clear()
            self._noted.clear()
        org_id = caller.org_id if caller is not None and level == "organization" else None
        key = (_site(ip), org_id)
        if key in self._known:
            return
        noted = self._noted.get(org_id, 0)
        if (
            noted >= self._settings.refusals_per_minute
            or len(self._waiting) >= _MOST_WAITING
            or len(self._known) >= _MOST_KNOWN
        ):
            self._left_out += 1
            return
        self._known.add(key)
        self._noted[org_id] = noted + 1
        address = (ip or "unknown")[:_LONGEST]
        self._waiting.append(_Refused(address, level, org_id, caller, current.origin))

    async def write(self) -> None:
        """Write down what waits; what the database does not take now stays for the next time."""
        while self._waiting:
            refused, left_out = self._waiting[0], self._left_out
            event = AddressRefused(address=refused.address, level=refused.level, left_out=left_out)
            try:
                with current.receiving(refused.origin), current.acting_as(refused.caller):
                    await self._events.announce(event, org_id=refused.org_id)
            except Unavailable:
                return
            except Exception:  # noqa: BLE001 - one that cannot be written must not keep the others waiting
                _log.exception("refusal not recorded", level=refused.level)
            else:
                self._left_out -= left_out
            self._waiting.popleft()


def _site(ip: str | None) -> str:
    if ip is None or ":" not in ip:
        return ip or ""
    try:
        return str(ip_network((ip.partition("%")[0], _IPV6_SITE), strict=False))
    except ValueError:
        return ip[:_LONGEST]
