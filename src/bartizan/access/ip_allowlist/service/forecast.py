"""Who would have been refused: rules tried against what is on record of the last days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bartizan.access.identity import Identity
from bartizan.access.ip_allowlist.settings import IpAllowlistSettings
from bartizan.access.ip_allowlist.types import CallerKind, IpForecast, IpRefusal
from bartizan.access.orgs import Orgs
from bartizan.access.rbac import Rbac
from bartizan.access.sessions import Sessions
from bartizan.backbone.audit import Audit, AuditActor, AuditQuery
from bartizan.foundation.clock import Clock

from .matching import Compiled, number_of, written

_DAYS = 7
_PAGE = 200
_SHOWN = 500
_ORGANIZATIONS = 100
_PLATFORM = "platform"
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class _Seen:
    """Somebody at an address."""

    kind: CallerKind
    id: str
    person: str | None
    """Whose roles count: the person's own, an impersonated one's, or those of a key's owner."""
    number: int


@dataclass(slots=True)
class _Record:
    last: datetime
    count: int


class _Sightings:
    """Where people and keys were seen: so many records at most, the newest."""

    def __init__(self, most: int) -> None:
        self._left = most
        self.by: dict[_Seen, _Record] = {}
        self.looked_at = 0
        self.complete = True

    def take(self) -> bool:
        """Take one more record, if there is room for it."""
        if not self._left:
            self.complete = False
            return False
        self._left -= 1
        return True

    def add(self, kind: CallerKind, id_: str, person: str | None, address: object, at: datetime) -> None:
        """Note a sighting; what shows no address counts for nothing."""
        number = number_of(address) if isinstance(address, str) else None
        if number is None:
            return
        self.looked_at += 1
        record = self.by.setdefault(_Seen(kind, id_, person, number), _Record(at, 0))
        record.last, record.count = max(record.last, at), record.count + 1


class Forecasts:
    """Tries rules against the audit log and the sessions, as the caller may read them."""

    def __init__(
        self,
        audit: Audit,
        sessions: Sessions,
        identity: Identity,
        rbac: Rbac,
        orgs: Orgs,
        *,
        settings: IpAllowlistSettings,
        clock: Clock,
    ) -> None:
        self._audit = audit
        self._sessions = sessions
        self._identity = identity
        self._rbac = rbac
        self._orgs = orgs
        self._settings = settings
        self._clock = clock

    async def look(self, rules: Compiled, org_id: str | None) -> IpForecast:
        """Tell whom ``rules`` would have refused in an organization, or (none) on the whole platform."""
        since = self._clock.now() - timedelta(days=_DAYS)
        records, signed_in = (
            _Sightings(self._settings.simulated_records),
            _Sightings(self._settings.simulated_records),
        )
        await self._read_audit(records, org_id, since)
        await self._read_sessions(signed_in, org_id, since)
        for seen, record in signed_in.by.items():
            known = records.by.setdefault(seen, _Record(record.last, 0))
            known.last, known.count = max(known.last, record.last), known.count + record.count
        roles = await self._roles({seen.person for seen in records.by if seen.person}, org_id)
        refused = [
            (seen, record)
            for seen, record in records.by.items()
            if rules.refuse(seen.number, seen.kind, roles.get(seen.person or "", ()))
        ]
        refused.sort(key=lambda one: one[1].last, reverse=True)
        shown = refused[:_SHOWN]
        people = await self._identity.people({seen.id for seen, _ in shown if seen.kind == "people"})
        return IpForecast(
            since=since,
            looked_at=records.looked_at + signed_in.looked_at,
            complete=records.complete and signed_in.complete,
            refused=[
                IpRefusal(
                    kind=seen.kind,
                    id=seen.id,
                    email=people[seen.id].email if seen.id in people else None,
                    address=written(seen.number),
                    last_seen=record.last,
                    count=record.count,
                )
                for seen, record in shown
            ],
            more=len(refused) - len(shown),
        )

    async def _read_audit(self, found: _Sightings, org_id: str | None, since: datetime) -> None:
        logs: list[str | None] = [None]  # the caller's own organization, which needs no operator
        if org_id is None:
            page = await self._orgs.list(limit=_ORGANIZATIONS)
            found.complete = page.next is None
            logs = [_PLATFORM, *(org.id for org in page.items)]
        for log in logs:
            cursor = None
            while True:
                query = AuditQuery(org=log, since=since, limit=_PAGE, cursor=cursor)
                page_ = await self._audit.search(query)
                for event in page_.items:
                    if not found.take():
                        return
                    if who := _who(event.actor):
                        found.add(*who, event.personal.get("ip"), event.time)
                if (cursor := page_.next) is None:
                    break

    async def _read_sessions(self, found: _Sightings, org_id: str | None, since: datetime) -> None:
        cursor = None
        while True:
            page = await self._sessions.list_all(limit=_PAGE, cursor=cursor)
            for one in page.items:
                if not found.take():
                    return
                if one.last_seen_at >= since and org_id in {None, one.org_id}:
                    found.add("people", one.actor_id or one.user_id, one.user_id, one.ip, one.last_seen_at)
            if (cursor := page.next) is None:
                return

    async def _roles(self, people: set[str], org_id: str | None) -> Mapping[str, Sequence[str]]:
        if org_id is None:
            return {}
        roles: dict[str, Sequence[str]] = {}
        every = sorted(people)
        for start in range(0, len(every), _AT_ONCE):
            roles |= await self._rbac.roles_of(every[start : start + _AT_ONCE], org_id)
        return roles


def _who(actor: AuditActor) -> tuple[CallerKind, str, str | None] | None:
    """Say who acted, and whose roles they had; none for strangers and the system."""
    if actor.id is None or actor.type not in {"user", "key"}:
        return None
    if actor.type == "key":
        return "keys", actor.id, actor.on_behalf_of
    return "people", actor.id, actor.on_behalf_of or actor.id
