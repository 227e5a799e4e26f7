"""From where callers may come: asked by the gate, kept in memory, tried before it holds."""

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import suppress

from bartizan.access.identity import Identity
from bartizan.access.ip_allowlist.errors import AddressNotAllowed, InvalidIpRule, IpRulesUnread
from bartizan.access.ip_allowlist.settings import IpAllowlistSettings
from bartizan.access.ip_allowlist.store import IpRuleStore, Written
from bartizan.access.ip_allowlist.types import (
    AddressAsked,
    CallerKind,
    IpForecast,
    IpSimulation,
    IpTrial,
    IpVerdict,
    Level,
    Role,
)
from bartizan.access.orgs import Orgs
from bartizan.access.rbac import Rbac
from bartizan.access.sessions import Sessions
from bartizan.backbone.audit import Audit
from bartizan.backbone.events import Events
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller, current
from bartizan.foundation.database import Database
from bartizan.foundation.errors import BartizanError
from bartizan.foundation.telemetry import logger

from .forecast import Forecasts
from .matching import Compiled, Ranges, number_of, written
from .refusals import Refusals
from .rules import READ, WRITE, Rules
from .watch import Watch

_GRACE = 5.0
_WAYS_OUT = frozenset({"/api/v1/auth/logout", "/api/v1/auth/switch"})
_OVERRIDE = re.compile(r"/api/v1/ip-allowlist/organizations/\w+/override", re.ASCII)

_log = logger(__name__)


class IpAllowlist(Rules):
    """From where callers may come: ``bz.ip_allowlist``.

    A level without an enabled rule for a kind of caller lets that kind in from everywhere. The platform,
    the organization, and each role that somebody has are levels of their own, and all have to agree.
    """

    def __init__(
        self,
        database: Database,
        events: Events,
        *,
        audit: Audit,
        identity: Identity,
        rbac: Rbac,
        orgs: Orgs,
        sessions: Sessions,
        clock: Clock | None = None,
        settings: IpAllowlistSettings | None = None,
    ) -> None:
        clock = clock or Clock()
        settings = settings or IpAllowlistSettings()
        watch = Watch(database, settings, clock)
        super().__init__(database, events, rbac=rbac, orgs=orgs, watch=watch, settings=settings, clock=clock)
        self._refusals = Refusals(events, settings, clock)
        self._forecasts = Forecasts(audit, sessions, identity, rbac, orgs, settings=settings, clock=clock)
        self._keeping: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    # For the gate: plain computation, in memory

    def refuses_address(self, ip: str | None) -> BartizanError | None:
        """Give the refusal of an address from which nobody may come, whoever it is; else none.

        To be asked before anything is known of the caller. Without rules for every kind of caller it
        answers at once. Raise what it gives, and do not keep it.
        """
        return self._refused(ip, "global", None) if self._watch.closed_to(ip) else None

    def has_rules(self, org_id: str | None) -> bool:
        """Tell whether :meth:`refuses` depends on the address for callers of this organization."""
        return self._watch.has_rules(org_id)

    def refuses(self, ip: str | None, caller: Caller, how: str) -> BartizanError | None:
        """Give the refusal of a caller who may not come from an address; else none.

        ``how`` the caller came: ``cookie``, ``bearer`` or ``key``; whatever else, such as ``scim``, is a
        machine. An answer holds until :meth:`on_change` calls.
        """
        level = self._watch.refuses(ip, caller, how)
        return None if level is None else self._refused(ip, level, caller)

    def lets_out(self, ip: str | None, caller: Caller, how: str, *, method: str, path: str) -> bool:
        """Tell whether a request goes on although the rules of an organization or a role refuse its caller.

        Signing out and switching to another organization do, and an operator's override of an
        organization's rules; the platform's own rules know no exception. ``path`` begins below the mount.
        """
        if method != "POST" or self._watch.refuses(ip, caller, how) != "organization":
            return False
        return path in _WAYS_OUT or (caller.operator and _OVERRIDE.fullmatch(path) is not None)

    def on_change(self, hook: Callable[[], None]) -> None:
        """Call ``hook`` in this process whenever other rules hold than before, wherever they were changed."""
        self._watch.on_change(hook)

    # Life

    async def start(self) -> None:
        """Read the rules, then look every few seconds for changes that other replicas made."""
        await self._watch.refresh()
        if self._keeping is None:
            self._stopping = asyncio.Event()
            self._keeping = asyncio.create_task(self._keep(self._stopping), name="bartizan ip_allowlist")

    async def stop(self) -> None:
        """Stop looking, and write down the refusals that wait."""
        keeping, self._keeping = self._keeping, None
        if keeping is None:
            return
        # It is asked to stop, and a look under way ends by itself: a cancelled query may forget that it was.
        self._stopping.set()
        await asyncio.wait({keeping}, timeout=_GRACE)
        if not keeping.done():
            keeping.cancel()
            await asyncio.wait({keeping}, timeout=_GRACE)
        await self._refusals.write()

    async def refresh(self) -> None:
        """Read what changed since the last look, and write down who was refused; for a wake-up."""
        await self._watch.refresh()
        await self._refusals.write()

    @property
    def fresh(self) -> bool:
        """Whether the rules were looked at lately; if not, those that are known go on holding."""
        return self._watch.fresh

    async def _keep(self, stopping: asyncio.Event) -> None:
        well = True
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.refresh_seconds):
                    await stopping.wait()
            if stopping.is_set():
                return
            try:
                await self.refresh()
                well = True
            except Exception as error:  # noqa: BLE001 - whatever it was, the next look may succeed
                if well:
                    _log.warning("network rules not refreshed", error=str(error))
                well = False

    def _refused(self, ip: str | None, level: Level, caller: Caller | None) -> BartizanError:
        if not self._watch.loaded:
            return IpRulesUnread()
        self._refusals.note(ip, level, caller)
        message = f"Your address, as we see it, is {ip or 'unknown'}; nobody may come in from there."
        if caller is not None:
            message = f"Your address, as we see it, is {ip or 'unknown'}; you may not come in from there."
        return AddressNotAllowed(message, your_address=ip)

    # Trying rules

    async def test(self, address: AddressAsked, caller: CallerKind = "people", role: Role = None) -> IpTrial:
        """Try an address against your organization's rules, for a kind of caller and perhaps a role.

        Operators see the platform's rules, too.
        """
        asks = current.caller
        operator = asks.operator or asks.kind == "system"
        scopes: list[str | None] = [None] if operator else []
        if asks.org_id is not None or not operator:
            current.require(READ)
            scopes.append(current.org_id)
        number = number_of(address)
        if number is None:
            message = f"{address!r} is no address."
            raise InvalidIpRule(message, field="address", entry=address)
        because: list[IpVerdict] = []
        async with self._database.reading() as session:
            for org_id in scopes:
                rules = await IpRuleStore(self._database, session, org_id).enabled()
                for wanted in dict.fromkeys([None, role]):
                    found = [rule for rule in rules if rule.role == wanted and caller in rule.callers]
                    if found:
                        because.append(_verdict(found, number, org_id, wanted))
        allowed = all(one.allowed for one in because)
        return IpTrial(address=written(number), allowed=allowed, because=because)

    async def simulate(self, simulation: IpSimulation) -> IpForecast:
        """Tell who would have been refused in the last seven days, had these rules been in force.

        What the audit log and the sessions show of addresses is tried, so this needs to read both, and
        reading is itself on record. No rule is changed.
        """
        org_id = self._scope(simulation.level, WRITE)
        rules: list[Written] = []
        for draft in simulation.rules:
            checked = await self._checked(draft, org_id)
            rules.append(Written("", checked.role, checked.callers, checked.addresses))
        if simulation.keep:
            async with self._database.reading() as session:
                rules += await IpRuleStore(self._database, session, org_id).enabled()
        return await self._forecasts.look(Compiled(rules), org_id)


def _verdict(rules: Sequence[Written], number: int, org_id: str | None, role: str | None) -> IpVerdict:
    holding = [rule.id for rule in rules if Ranges(rule.addresses).hold(number)]
    return IpVerdict(
        level="global" if org_id is None else "organization", role=role, allowed=bool(holding), rules=holding
    )
